//! Queries over stored events, with the kernel the live path uses.
