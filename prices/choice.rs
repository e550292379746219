//! Which row prices a call: own rows first, then the catalogue's, by condition and time.

use domain::{Place, Processing, ServiceTier, Speed};

use crate::{
    Call, Catalogue, Factor, Model, OwnPrices, Row, When,
    estimate::{Missing, Note, priced_tier},
    own::row_name,
};

/// The row for a call, and what was found out on the way.
pub(crate) struct Choice<'c> {
    pub(crate) chosen: Option<(&'c str, &'c Model, &'c Row)>,
    /// The model's standard row at that time: it says whether the request counts as long.
    pub(crate) standard: Option<&'c Row>,
    pub(crate) factor: Factors,
    pub(crate) missing: Vec<Missing>,
    pub(crate) notes: Vec<Note>,
}

/// What rates are multiplied with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) tokens: Factor,
    pub(crate) others: Factor,
}

impl<'c> Choice<'c> {
    pub(crate) fn of(
        catalogue: &'c Catalogue,
        own: &[&'c OwnPrices],
        call: &Call<'_>,
    ) -> Choice<'c> {
        let mut choice = Choice {
            chosen: None,
            standard: None,
            factor: Factors { tokens: Factor::ONE, others: Factor::ONE },
            missing: vec![],
            notes: vec![],
        };
        choice.choose_model(catalogue, own, call);
        let Some((_, model, _)) = choice.chosen else { return choice };
        choice.standard = model.row(When::STANDARD, call.at);
        choice.multiply_by_place(call);
        for unknown in &call.context.unknown {
            choice.missing.push(Missing::Context(unknown.field, unknown.word.clone()));
        }
        choice
    }

    fn choose_model(&mut self, catalogue: &'c Catalogue, own: &[&'c OwnPrices], call: &Call<'_>) {
        let found = catalogue.resolve(call.service, call.model, call.at);
        let canonical = found.as_ref().map(|found| found.model.id.as_str());
        let service = found.as_ref().map_or(call.service, |found| found.seller.name.as_str());
        let rated = own.iter().find_map(|own| {
            let by = |service| own.rated(service, call.model, canonical, call.at);
            by(call.service).or_else(|| by(service))
        });
        if let Some((service, model)) = rated {
            self.choose_row(service, model, call);
            if self.chosen.is_some() || priced_tier(call.context).is_none() {
                return;
            }
            // Own rows for other conditions only: the catalogue's are for this one.
            self.missing.clear();
            self.notes.clear();
        }
        let Some(found) = found else {
            let is_known = catalogue.seller(call.service).is_some()
                || own.iter().any(|own| own.has_service(call.service));
            self.missing.push(match (rated, is_known) {
                (Some(_), _) => Missing::RowAt(call.at),
                (None, true) => Missing::Model,
                (None, false) => Missing::Service,
            });
            return;
        };
        self.notes = found.notes;
        self.choose_row(&found.seller.name, found.model, call);
        let adjusted = own.iter().find_map(|own| {
            let by = |service| own.adjustment(service, call.model, canonical, call.at);
            let (model, row) = by(service).or_else(|| by(call.service))?;
            Some((model, row, row.adjustment?))
        });
        if let Some((model, row, factor)) = adjusted {
            self.factor = Factors { tokens: factor, others: factor };
            self.notes.push(Note::Adjusted(row_name(service, model, row)));
        }
    }

    /// The row for the call's condition; where there is none, the next simpler one, and what is
    /// missing.
    fn choose_row(&mut self, service: &'c str, model: &'c Model, call: &Call<'_>) {
        let Some(tier) = priced_tier(call.context) else {
            let committed = ServiceTier::Committed.as_str();
            self.missing.push(Missing::Condition(format!("service_tier={committed}")));
            return;
        };
        if call.context.service_tier == Some(ServiceTier::Auto) {
            self.notes.push(Note::TierNotSaid);
        }
        let asked = When {
            processing: call.context.processing.unwrap_or(Processing::Standard),
            service_tier: tier,
            speed: call.context.speed.unwrap_or(Speed::Standard),
        };
        for (when, dropped) in simpler(asked) {
            if let Some(row) = model.row(when, call.at) {
                self.chosen = Some((service, model, row));
                if let Some(dropped) = dropped {
                    self.missing.push(Missing::Condition(dropped));
                }
                return;
            }
        }
        self.missing.push(Missing::RowAt(call.at));
    }

    fn multiply_by_place(&mut self, call: &Call<'_>) {
        let Some((service, _, row)) = self.chosen else { return };
        if let Some(place) = call.context.data_residency.as_ref().filter(|p| !p.is_global()) {
            let listed = row.data_residency.iter().find(|(known, _)| known == place.as_str());
            match listed {
                Some((_, factor)) => self.multiply_tokens(*factor),
                None if row.data_residency.is_empty() => {
                    let note = Note::NoUplift("data_residency", place.as_str().to_owned());
                    self.notes.push(note);
                }
                None => {
                    self.missing.push(Missing::Context("data_residency", place.as_str().to_owned()))
                }
            }
        }
        match (row.vertex_regional, &call.context.vertex_location) {
            (Some(_), None) if service == "vertex" => self.notes.push(Note::LocationNotSaid),
            (Some(factor), Some(place)) if !Place::is_global(place) => self.multiply_tokens(factor),
            _ => {}
        }
    }

    fn multiply_tokens(&mut self, factor: Factor) {
        self.factor.tokens = self.factor.tokens.times(factor);
    }
}

/// The conditions under which a row may be used for `asked`, the asked one first, each with what it
/// leaves out.
fn simpler(asked: When) -> impl Iterator<Item = (When, Option<String>)> {
    let processing = [asked.processing, Processing::Standard];
    let speed = [asked.speed, Speed::Standard];
    // `fast` is sold at the priority rate where it has none of its own.
    let priority = match asked.service_tier {
        ServiceTier::Fast => ServiceTier::Priority,
        tier => tier,
    };
    let tiers = [asked.service_tier, priority, ServiceTier::Standard];
    let all = [0, 1].into_iter().flat_map(move |at_processing| {
        [0, 1, 2].into_iter().flat_map(move |at_tier| {
            [0, 1].into_iter().map(move |at_speed| When {
                processing: processing[at_processing],
                service_tier: tiers[at_tier],
                speed: speed[at_speed],
            })
        })
    });
    all.map(move |when| (when, left_out(asked, when)))
}

fn left_out(asked: When, when: When) -> Option<String> {
    let served_as_priority =
        asked.service_tier == ServiceTier::Fast && when.service_tier == ServiceTier::Priority;
    let left = When {
        processing: match when.processing == asked.processing {
            true => Processing::Standard,
            false => asked.processing,
        },
        service_tier: match when.service_tier == asked.service_tier || served_as_priority {
            true => ServiceTier::Standard,
            false => asked.service_tier,
        },
        speed: if when.speed == asked.speed { Speed::Standard } else { asked.speed },
    };
    (left != When::STANDARD).then(|| left.to_string())
}
