//! The sandbox over real HTTP: what it answers, what it refuses, and that its numbers agree with
//! its books.

mod answers;
mod client;
mod control;
mod numbers;
mod refusals;
