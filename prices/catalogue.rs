//! The catalogue: every seller's models, found by exact name.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    sync::LazyLock,
    thread,
};

use foldhash::fast::RandomState;
use jiff::{Timestamp, civil::Date};

use crate::{
    Model, Origin, Problem,
    form::{AliasForm, SellerForm},
    id::id_of,
    position::{FileProblem, line_of},
    read::{instant, read_model},
};

type Names<T> = HashMap<String, T, RandomState>;

/// A name that means a model for a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// First instant; from the beginning if absent.
    pub from: Option<Timestamp>,
    /// First instant after; still in force if absent.
    pub until: Option<Timestamp>,
    /// Which catalogue says so.
    pub source: String,
    model: usize,
}

/// A seller's prices.
#[derive(Debug, Clone)]
pub struct Seller {
    /// The service's name.
    pub name: String,
    /// Sellers whose own price this one charges for their models, where it has no row of its own.
    pub charges_price_of: Vec<String>,
    models: Vec<Model>,
    by_name: Names<usize>,
    aliases: Names<Vec<Alias>>,
}

impl Seller {
    /// Its models.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of an exact name: by an alias in force at `at`, else by id or name.
    #[must_use]
    pub fn model(&self, name: &str, at: Timestamp) -> Option<(&Model, Option<&Alias>)> {
        let in_force = |alias: &&Alias| {
            alias.from.is_none_or(|from| from <= at) && alias.until.is_none_or(|until| at < until)
        };
        if let Some(alias) =
            self.aliases.get(name).and_then(|aliases| aliases.iter().find(in_force))
        {
            return Some((&self.models[alias.model], Some(alias)));
        }
        self.by_name.get(name).map(|index| (&self.models[*index], None))
    }

    /// Every name that it knows, aliases included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let ids = self.models.iter().flat_map(|model| {
            std::iter::once(model.id.as_str()).chain(model.names.iter().map(String::as_str))
        });
        let only_aliases = self.aliases.keys().filter(|name| !self.by_name.contains_key(*name));
        ids.chain(only_aliases.map(String::as_str))
    }

    /// Reads a seller's form.
    ///
    /// # Errors
    /// Every [`Problem`] of the form; pointers begin at the file: `/model/3/price/0/input`.
    pub fn read(form: &SellerForm, origin: Origin) -> Result<Seller, Vec<Problem>> {
        let mut problems = vec![];
        let mut seller = Seller {
            name: form.seller.to_ascii_lowercase(),
            charges_price_of: form.charges_price_of.clone(),
            models: Vec::with_capacity(form.model.len()),
            by_name: Names::default(),
            aliases: Names::default(),
        };
        if domain::Service::parse(&form.seller).is_err() {
            let detail = format!("`{}` is no service's name", form.seller);
            problems.push(Problem { pointer: "/seller".to_owned(), detail });
        }
        for (index, model) in form.model.iter().enumerate() {
            match read_model(model, origin) {
                Ok(model) => seller.add_model(index, model, &mut problems),
                Err(found) => problems.extend(found.into_iter().map(|problem| Problem {
                    pointer: format!("/model/{index}{}", problem.pointer),
                    detail: format!("model `{}`: {}", model.id, problem.detail),
                })),
            }
        }
        for (index, alias) in form.alias.iter().enumerate() {
            if let Err(detail) = seller.add_alias(alias) {
                problems.push(Problem { pointer: format!("/alias/{index}"), detail });
            }
        }
        if problems.is_empty() { Ok(seller) } else { Err(problems) }
    }

    fn add_model(&mut self, index: usize, model: Model, problems: &mut Vec<Problem>) {
        let at = self.models.len();
        for name in std::iter::once(&model.id).chain(&model.names) {
            if let Some(other) = self.by_name.insert(name.clone(), at) {
                let owner = self.models.get(other).map_or(&model.id, |other| &other.id);
                let detail = format!("`{name}` is a name of `{owner}` already");
                problems.push(Problem { pointer: format!("/model/{index}/names"), detail });
            }
        }
        self.models.push(model);
    }

    fn add_alias(&mut self, form: &AliasForm) -> Result<(), String> {
        let model = *self
            .by_name
            .get(&form.model)
            .ok_or_else(|| format!("`{}` means `{}`, which is no model", form.name, form.model))?;
        let read = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => instant(text).map(Some).ok_or_else(|| format!("`{text}` is no instant")),
        };
        let (from, until) = (read(&form.from)?, read(&form.until)?);
        let aliases = self.aliases.entry(form.name.clone()).or_default();
        let before = |end: Option<Timestamp>, start: Option<Timestamp>| {
            end.zip(start).is_some_and(|(end, start)| end <= start)
        };
        if aliases.iter().any(|known| !before(known.until, from) && !before(until, known.from)) {
            return Err(format!("`{}` means two models at one time", form.name));
        }
        aliases.push(Alias { from, until, source: form.source.clone(), model });
        Ok(())
    }
}

/// All sellers' prices, as of one import.
#[derive(Debug, Clone)]
pub struct Catalogue {
    id: String,
    sellers: Names<Seller>,
}

/// A form of the catalogue that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{seller}: {problem}")]
pub struct CatalogueProblem {
    /// Whose form.
    pub seller: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl Catalogue {
    /// The catalogue that is built in.
    ///
    /// # Panics
    /// Where the built-in catalogue is wrong, which its tests prevent.
    #[must_use]
    pub fn built_in() -> &'static Catalogue {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::read_built_in);
        &CATALOGUE
    }

    /// Reads the catalogue that is built in; [`Catalogue::built_in`] does so once.
    ///
    /// # Panics
    /// Where the built-in catalogue is wrong, which its tests prevent.
    #[must_use]
    pub fn read_built_in() -> Catalogue {
        let mut lines: Vec<&str> = BUILT_IN.lines().collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
        // Dealt out like cards, longest first, so that no hand is much longer than another.
        let hands = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(HANDS_MAX);
        let hand = |at: usize| lines.iter().skip(at).step_by(hands).map(|line| read_line(line));
        let sellers = thread::scope(|scope| {
            let others: Vec<_> =
                (1..hands).map(|at| scope.spawn(move || hand(at).collect::<Vec<_>>())).collect();
            let mut sellers: Vec<Seller> = hand(0).collect();
            for other in others {
                sellers.extend(other.join().expect("the tests have read the built-in catalogue"));
            }
            sellers
        });
        let by_name = sellers.into_iter().map(|seller| (seller.name.clone(), seller));
        Catalogue { id: BUILT_IN_ID.to_owned(), sellers: by_name.collect() }
    }

    /// The sellers' forms that are built in.
    ///
    /// # Panics
    /// Where the built-in catalogue is wrong, which its tests prevent.
    #[must_use]
    pub fn built_in_forms() -> Vec<SellerForm> {
        BUILT_IN.lines().map(form_of_line).collect()
    }

    /// Reads a catalogue from TOML files, one for each seller, by their names.
    ///
    /// # Errors
    /// Every problem, with its file and line.
    pub fn from_toml(files: &BTreeMap<String, String>) -> Result<Catalogue, Vec<FileProblem>> {
        let mut problems = vec![];
        let mut forms = vec![];
        for (file, text) in files {
            let read: Result<SellerForm, _> = toml::from_str(text);
            match read {
                Ok(form) => {
                    let found = Seller::read(&form, Origin::Catalogue).err().unwrap_or_default();
                    problems.extend(found.into_iter().map(|problem| FileProblem {
                        file: file.clone(),
                        line: line_of(text, &problem.pointer),
                        detail: problem.detail,
                    }));
                    forms.push(form);
                }
                Err(error) => problems.push(FileProblem::of_toml(file, text, &error)),
            }
        }
        match problems.is_empty() {
            true => Catalogue::from_forms(&forms).map_err(|_| problems),
            false => Err(problems),
        }
    }

    /// Makes a catalogue of sellers' forms.
    ///
    /// # Errors
    /// Every problem of every form.
    pub fn from_forms(forms: &[SellerForm]) -> Result<Catalogue, Vec<CatalogueProblem>> {
        let mut problems = vec![];
        let mut sellers = Names::default();
        for form in forms {
            match Seller::read(form, Origin::Catalogue) {
                Ok(seller) => {
                    sellers.insert(seller.name.clone(), seller);
                }
                Err(found) => problems.extend(
                    found
                        .into_iter()
                        .map(|problem| CatalogueProblem { seller: form.seller.clone(), problem }),
                ),
            }
        }
        match problems.is_empty() {
            true => Ok(Catalogue { id: id_of(forms), sellers }),
            false => Err(problems),
        }
    }

    /// What the catalogue is called: the newest day on which a source was read, and a hash of
    /// everything in it. Every cost that was computed keeps it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The newest day on which a source of it was read; `None` where none says so.
    #[must_use]
    pub fn read_on(&self) -> Option<Date> {
        self.id.get(.."2026-01-31".len())?.parse().ok()
    }

    /// A seller by its name, lower case.
    #[must_use]
    pub fn seller(&self, name: &str) -> Option<&Seller> {
        self.sellers.get(name)
    }

    /// All sellers, by name.
    #[must_use]
    pub fn sellers(&self) -> Vec<&Seller> {
        let mut sellers: Vec<_> = self.sellers.values().collect();
        sellers.sort_by(|left, right| left.name.cmp(&right.name));
        sellers
    }
}

/// More threads than this would start longer than they read.
const HANDS_MAX: usize = 4;
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/catalogue.jsonl"));
const BUILT_IN_ID: &str = include_str!(concat!(env!("OUT_DIR"), "/catalogue.id"));

fn form_of_line(line: &str) -> SellerForm {
    serde_json::from_str(line).expect("the build script has written the catalogue")
}

fn read_line(line: &str) -> Seller {
    match Seller::read(&form_of_line(line), Origin::Catalogue) {
        Ok(seller) => seller,
        Err(problems) => panic!("the built-in catalogue is wrong: {}", problems[0]),
    }
}
