#![doc = include_str!("README.md")]
#![warn(missing_docs)]
#![warn(clippy::arithmetic_side_effects)]

//! ## Glossary
//!
//! One word per concept, in code, API, documentation and user interface:
//!
//! | word | meaning |
//! |---|---|
//! | *usage* | what was consumed |
//! | *cost* | priced usage |
//! | *rate* | what one unit costs |
//! | *price row* | all rates of a model over a span of time, under one condition |
//! | *seller* | who sells a model, as the price catalogue names it: a *service* |
//! | *charge* | one line of what a provider says was billed or metered |
//! | *account* | the provider's account that charges belong to, never our connection to it |
//! | *feed* | one stream of a connector (`costs`, `usage.completions`), with its own watermark |
//! | *source* | where charges came from: a connection, or files |
//! | *pull* | one reading of a feed over a window |
//! | *generation* | the order in which pulls and files were committed; the newest counts |
//! | *coverage* | the days that a source has spoken about, charges or none |
//! | *path* | where in an organization spend belongs: a node of its tree |
//! | *policy* | a cap: a limit on a path in a window, and how hard it is |
//! | *reservation* | an amount held on policies until a call's cost is known |
//! | *held*, *used* | what reservations keep free, what was spent |
//! | *restatement* | a provider's correction of days it had reported before |

pub mod audit;
pub mod charge;
pub mod clock;
pub mod connection;
pub mod descriptor;
pub mod file;
pub mod fixed;
pub mod ids;
pub mod money;
pub mod names;
pub mod organization;
pub mod path;
pub mod policy;
pub mod quantity;
pub mod rate_context;
pub mod secret;
pub mod time;
pub mod usage;

pub use audit::{AuditEntry, AuditEvent};
pub use charge::{Charge, ChargeCategory};
pub use clock::Clock;
pub use connection::{Connection, ConnectionError, ConnectionStatus};
pub use descriptor::{AuthField, ConnectorDescriptor, FormatDescriptor, Reports};
pub use file::{FileError, FileState, FileTotal, UploadedFile};
pub use fixed::{AmountError, Rounded};
pub use ids::{
    BatchId, ConnectionId, EventId, FileId, IdError, KeyId, OrganizationId, PolicyId,
    ReservationId, SyncId,
};
pub use money::{Currency, Money};
pub use names::{Account, Feed, NameError, ProviderId, Service};
pub use organization::{ApiKey, Organization, Scope};
pub use path::{Path, PathError};
pub use policy::{LimitUnit, Mode, PolicySpec};
pub use quantity::{Quantity, Unit};
pub use rate_context::{Place, Processing, RateContext, ServiceTier, Speed, UnknownContext};
pub use secret::Secret;
pub use time::{Granularity, Window, Zone};
pub use usage::{Usage, UsageError};
