//! Wire formats of recorded sessions. So far: the query language of their content.

pub mod lucene;
