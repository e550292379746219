//! Single stories, by name: of the journal and whoever writes it, of time, and of money. Each fails
//! when its rule is taken out; docs/engine.md has the list.

mod scenarios_cluster;
mod scenarios_journal;
mod scenarios_money;
mod scenarios_time;
