//! The kernel: funnels and identity as pure state machines, called by the live and the batch path.
