//! Terminal recordings in; screens, text and pixels out (its place; empty so far).
