//! Projections: what is made from the logs and can be thrown away.
use crate::config::IndexOptions;
use crate::control::Control;
use crate::error::Result;
use crate::service::Rebuilt;
use log::Logs;
use std::path::Path;
use std::sync::Arc;

pub struct Projections {}

impl Projections {
    pub fn open(folder: &Path, options: IndexOptions, logs: Logs, control: Arc<Control>) -> Result<Projections> {
        let _ = (folder, options, logs, control);
        Ok(Projections {})
    }
    pub fn stop(&self) {}
    pub async fn settle(&self) {}
    pub fn catch_up_blocking(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Rebuilt> {
        let _ = progress;
        todo!()
    }
}
