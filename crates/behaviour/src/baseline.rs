//! What is usual for one user, for every algorithm; and how far one session is from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::SESSIONS_MIN;
use crate::aggregate::{Aggregate, Parameters, aggregate};
use crate::algorithm::{Algorithm, Failure};
use crate::command::Mix;
use crate::fis::Fis;
use crate::hostlogin::HostLogin;
use crate::logintime::LoginTime;
use crate::observation::Observation;
use crate::probability::score_of;
use crate::rhythm::Habit;

/// What one algorithm learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// Of `command` and `windowtitle`.
    Mix(Mix),
    /// Of `fis`.
    Fis(Fis),
    /// Of `hostlogin`.
    Hosts(HostLogin),
    /// Of `keystroke` and `mouse`.
    Habit(Habit),
    /// Of `logintime`.
    Times(LoginTime),
}

/// The baselines of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct Baselines {
    /// Those that were tried, with why not. One that no session ever had anything for is not tried.
    pub models: BTreeMap<Algorithm, Result<Model, Failure>>,
    /// Sessions that they were built from.
    pub sessions: u32,
    parameters: Parameters,
}

/// How far one session is from one baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// 0 to 100.
    pub score: u8,
    /// The probability of a session at least as unusual, or a bound of it; 0 to 1.
    pub probability: f64,
}

/// How far one session is from all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// By algorithm.
    pub scores: BTreeMap<Algorithm, Assessment>,
    /// Why an algorithm has none.
    pub failures: BTreeMap<Algorithm, Failure>,
    /// All of them as one; none without a score.
    pub aggregate: Option<Aggregate>,
}

impl Baselines {
    /// Learns from sessions. Their order does not matter. A user without sessions has a failure for every algorithm that works
    /// without a recording.
    pub fn build(history: &[Observation], parameters: &Parameters) -> Baselines {
        let mut models = BTreeMap::new();
        for algorithm in Algorithm::ALL.into_iter().filter(|name| !parameters.disabled.contains(name)) {
            let usable: Vec<&Observation> = history.iter().filter(|session| is_usable(algorithm, session)).collect();
            let is_tried = match algorithm {
                Algorithm::Fis | Algorithm::HostLogin | Algorithm::LoginTime | Algorithm::Command => true,
                Algorithm::Keystroke | Algorithm::Mouse | Algorithm::WindowTitle => {
                    history.iter().any(|session| has_any(algorithm, session))
                }
            };
            if is_tried {
                models.insert(algorithm, build(algorithm, &usable));
            }
        }
        let sessions = u32::try_from(history.len()).unwrap_or(u32::MAX);
        Baselines { models, sessions, parameters: parameters.clone() }
    }

    /// Scores one session, which is best not among those learnt from. Costs the same whatever was learnt from.
    pub fn score(&self, session: &Observation) -> Scored {
        let (mut scores, mut failures) = (BTreeMap::new(), BTreeMap::new());
        for (algorithm, model) in &self.models {
            let assessed = match model {
                Err(failure) => Err(failure.clone()),
                Ok(_) if !is_usable(*algorithm, session) => Err(Failure::NotThere(*algorithm)),
                Ok(model) => probability(*algorithm, model, session),
            };
            match assessed {
                Ok(probability) => {
                    scores.insert(*algorithm, Assessment { score: score_of(probability), probability });
                }
                Err(failure) => {
                    failures.insert(*algorithm, failure);
                }
            }
        }
        let plain = scores.iter().map(|(name, assessment)| (*name, assessment.score)).collect();
        let aggregate = aggregate(&plain, &self.parameters);
        Scored { scores, failures, aggregate }
    }

    /// What the algorithm expects, in words; none without a baseline.
    pub fn expected(&self, algorithm: Algorithm) -> Option<String> {
        Some(match self.models.get(&algorithm)?.as_ref().ok()? {
            Model::Mix(mix) => mix.expected(),
            Model::Fis(fis) => fis.expected(),
            Model::Hosts(hosts) => hosts.expected(),
            Model::Habit(habit) => habit.expected(),
            Model::Times(times) => times.expected(),
        })
    }

    /// What it sees in this session, in words.
    pub fn observed(&self, algorithm: Algorithm, session: &Observation) -> Option<String> {
        let measures = &session.measures;
        Some(match (self.models.get(&algorithm)?.as_ref().ok()?, algorithm) {
            (Model::Mix(mix), Algorithm::WindowTitle) => mix.observed(&measures.titles),
            (Model::Mix(mix), _) => mix.observed(&measures.commands),
            (Model::Fis(fis), _) => fis.observed(session),
            (Model::Hosts(hosts), _) => hosts.observed(session.server.as_deref()?),
            (Model::Habit(habit), Algorithm::Mouse) => habit.observed(&measures.pointer),
            (Model::Habit(habit), _) => habit.observed(&measures.keys),
            (Model::Times(_), _) => LoginTime::observed(session.started_s),
        })
    }

    /// Whether a session of the history is, for this algorithm, like the one that is scored.
    pub fn is_like(&self, algorithm: Algorithm, session: &Observation, past: &Observation) -> bool {
        let (measures, before) = (&session.measures, &past.measures);
        match (self.models.get(&algorithm), algorithm) {
            (Some(Ok(Model::Mix(mix))), Algorithm::WindowTitle) => mix.is_like(&measures.titles, &before.titles),
            (Some(Ok(Model::Mix(mix))), _) => mix.is_like(&measures.commands, &before.commands),
            (Some(Ok(Model::Fis(fis))), _) => fis.is_like(session, past),
            (Some(Ok(Model::Hosts(_))), _) => past.server == session.server,
            // Every session that was learnt from is part of the habit.
            (Some(Ok(Model::Habit(_))), _) => is_usable(algorithm, past),
            (Some(Ok(Model::Times(_))), _) => LoginTime::is_near(session.started_s, past.started_s),
            (None | Some(Err(_)), _) => false,
        }
    }
}

fn build(algorithm: Algorithm, usable: &[&Observation]) -> Result<Model, Failure> {
    let sessions = u32::try_from(usable.len()).unwrap_or(u32::MAX);
    if sessions < SESSIONS_MIN {
        return Err(Failure::NotEnough { algorithm, sessions, needed: SESSIONS_MIN });
    }
    let measures = usable.iter().map(|session| &session.measures);
    Ok(match algorithm {
        Algorithm::Command => Model::Mix(Mix::build(measures.map(|measures| &measures.commands))),
        Algorithm::WindowTitle => Model::Mix(Mix::build(measures.map(|measures| &measures.titles))),
        Algorithm::Fis => Model::Fis(Fis::build(usable).ok_or(Failure::NoPattern)?),
        Algorithm::HostLogin => {
            Model::Hosts(HostLogin::build(usable.iter().filter_map(|session| session.server.as_deref())))
        }
        Algorithm::Keystroke => Model::Habit(Habit::build(measures.map(|measures| &measures.keys))),
        Algorithm::Mouse => Model::Habit(Habit::build(measures.map(|measures| &measures.pointer))),
        Algorithm::LoginTime => Model::Times(LoginTime::build(usable.iter().map(|session| session.started_s))),
    })
}

fn probability(algorithm: Algorithm, model: &Model, session: &Observation) -> Result<f64, Failure> {
    let measures = &session.measures;
    Ok(match (model, algorithm) {
        (Model::Mix(mix), Algorithm::WindowTitle) => mix.probability(&measures.titles),
        (Model::Mix(mix), _) => mix.probability(&measures.commands),
        (Model::Fis(fis), _) => fis.probability(session),
        (Model::Hosts(hosts), _) => hosts.probability(session.server.as_deref().ok_or(Failure::NotThere(algorithm))?),
        (Model::Habit(habit), Algorithm::Mouse) => {
            habit.probability(&measures.pointer).ok_or(Failure::NothingInCommon)?
        }
        (Model::Habit(habit), _) => habit.probability(&measures.keys).ok_or(Failure::NothingInCommon)?,
        (Model::Times(times), _) => times.probability(session.started_s),
    })
}

/// Whether an algorithm can learn from a session: it has what the algorithm looks at.
pub fn is_usable(algorithm: Algorithm, session: &Observation) -> bool {
    let measures = &session.measures;
    match algorithm {
        Algorithm::Command => !measures.commands.is_empty(),
        Algorithm::WindowTitle => !measures.titles.is_empty(),
        Algorithm::HostLogin => session.server.is_some(),
        Algorithm::Keystroke => measures.keys.is_enough(),
        Algorithm::Mouse => measures.pointer.is_enough(),
        Algorithm::Fis | Algorithm::LoginTime => true,
    }
}

/// Whether it has any of it.
fn has_any(algorithm: Algorithm, session: &Observation) -> bool {
    match algorithm {
        Algorithm::Keystroke => session.measures.keys.events() > 0,
        Algorithm::Mouse => session.measures.pointer.events() > 0,
        _ => is_usable(algorithm, session),
    }
}
