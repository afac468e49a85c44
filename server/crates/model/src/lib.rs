//! Events, ids, properties, filters, time ranges and definitions: the words everything else is said in.
