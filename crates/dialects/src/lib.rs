//! Wire formats over the service: one folder for each API.
