//! Live: partition workers, images, the hub, subscriptions.
