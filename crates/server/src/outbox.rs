//! What waits to be written to one session's connection.
