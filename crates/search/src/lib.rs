//! The query tree, its reference meaning, and the index that answers it faster.
