//! What an audit trail means: model, access, ingest, projections, queries.
