//! Draws a screen as an indexed PNG.
