//! The pricing rules, each as a test that is named by what it says, properties that hold for every
//! call, and worked cases.

mod built_in;
mod cases;
mod own_prices;
mod properties;
mod rules_charges;
mod rules_names;
mod rules_parts;
mod rules_rates;
mod till;
