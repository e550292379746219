//! Has shards follow their organization's settings. The organization's document is written first;
//! an entry with its revision follows in each environment's journal. Whatever a crash leaves
//! between the two is finished here: at the start, after each change, and every half minute.

use std::{sync::Arc, time::Duration};

use domain::{Organization, organization::Environment};
use engine::{Command, Request, Settings, calendar::CalendarRules};
use shards::{Caps, Group, Lane};
use store::{Store, journal::Shard};
use tokio::sync::Notify;

/// Follows settings for ever; `changed` says that there is something new.
pub(crate) async fn follow_settings(
    store: Arc<dyn Store>,
    caps: Arc<dyn Caps>,
    changed: Arc<Notify>,
) {
    loop {
        match store.organizations().await {
            Ok(organizations) => {
                for organization in &organizations {
                    configure(&*caps, organization).await;
                }
            }
            Err(error) => tracing::warn!(error = %error, "settings could not be read"),
        }
        // Whether it was told or waited long enough is all the same.
        let _told = tokio::time::timeout(Duration::from_secs(30), changed.notified()).await;
    }
}

async fn configure(caps: &dyn Caps, organization: &Organization) {
    for environment in [Environment::Live, Environment::Test] {
        let shard = Shard { organization: organization.id, environment };
        let command = Command::Configure(settings_of(organization));
        let group = Group {
            requests: vec![Request { once: None, actor: vec![], command }],
            id_days: vec![],
            lane: Lane::Interactive,
            patience: Duration::from_secs(10),
            with_blocked: false,
        };
        if let Err(error) = caps.submit(shard, group).await {
            tracing::warn!(?shard, error = %error, "a shard does not follow its settings yet");
        }
    }
}

/// An organization's settings as its shards have them.
fn settings_of(organization: &Organization) -> Settings {
    let week_start = organization.week_start.to_monday_one_offset().unsigned_abs();
    Settings {
        revision: organization.settings_revision,
        calendar: CalendarRules {
            zone: organization.time_zone.clone(),
            week_start,
            reset_hour: organization.reset_hour,
            fiscal_month: organization.fiscal_year_start_month,
        },
        auto_create_paths: organization.auto_create_paths,
    }
}
