//! Every key of the policy that the decision or the news reads, each with a row that fails when the key is ignored.
//! `schedule`, `timezone`, `stage` and `max_age` are not read here: their rows are with the calendar, the fleet and the
//! warnings.

mod availability;
mod canary;
mod selection;
mod surge;
mod timeouts;
mod window;
