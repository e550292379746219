//! Who sold a call: the names that telemetry has for providers, and the hosts that were called, as
//! our names of sellers.
//!
//! A host that is known says it best: clients made for one provider are pointed at others, and go
//! on naming the first. Names that nobody knows are kept as a service of that name.
//! <https://github.com/open-telemetry/semantic-conventions-genai>

use domain::{Place, RateContext, Service};

/// Names of providers in lower case, of all generations of conventions, and our sellers.
const NAMES: &[(&str, &str)] = &[
    ("amazon-bedrock", "bedrock"),
    ("amazon_bedrock", "bedrock"),
    ("anthropic", "anthropic"),
    ("aws", "bedrock"),
    ("aws.bedrock", "bedrock"),
    ("aws_bedrock", "bedrock"),
    ("az.ai.inference", "azure"),
    ("az.ai.openai", "azure"),
    ("azure", "azure"),
    ("azure-openai", "azure"),
    ("azure.ai.inference", "azure"),
    ("azure.ai.openai", "azure"),
    ("azure_ai", "azure"),
    ("azure_openai", "azure"),
    ("azure_text", "azure"),
    ("bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("cerebras", "cerebras"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("fireworks_ai", "fireworks"),
    ("gcp.gemini", "google"),
    ("gcp.gen_ai", "google"),
    ("gcp.vertex_ai", "vertex"),
    ("gemini", "google"),
    ("google", "google"),
    ("google.vertex", "vertex"),
    ("google_genai", "google"),
    ("google_generativeai", "google"),
    ("google_vertexai", "vertex"),
    ("groq", "groq"),
    ("ibm", "watsonx"),
    ("ibm.watsonx.ai", "watsonx"),
    ("mistral", "mistral"),
    ("mistral_ai", "mistral"),
    ("mistralai", "mistral"),
    ("moonshot", "moonshot"),
    ("moonshot_ai", "moonshot"),
    ("moonshotai", "moonshot"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("perplexity_ai", "perplexity"),
    ("together", "together"),
    ("together_ai", "together"),
    ("togetherai", "together"),
    ("vertex", "vertex"),
    ("vertex_ai", "vertex"),
    ("vertex_ai_beta", "vertex"),
    ("vertexai", "vertex"),
    ("watsonx", "watsonx"),
    ("x-ai", "xai"),
    ("x_ai", "xai"),
    ("xai", "xai"),
];

/// Which of a provider's interfaces was called, as some emitters append it: `openai.chat`.
const INTERFACES: &[&str] = &[
    "chat",
    "completion",
    "completions",
    "embedding",
    "embeddings",
    "generative-ai",
    "image",
    "messages",
    "responses",
];

/// What the hosts of sellers end with, from the beginning of a label.
const HOSTS: &[(&str, &str)] = &[
    ("aiplatform.googleapis.com", "vertex"),
    ("api.anthropic.com", "anthropic"),
    ("api.cerebras.ai", "cerebras"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("api.fireworks.ai", "fireworks"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral"),
    ("api.moonshot.ai", "moonshot"),
    ("api.moonshot.cn", "moonshot"),
    ("api.openai.com", "openai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.together.ai", "together"),
    ("api.together.xyz", "together"),
    ("api.x.ai", "xai"),
    ("cognitiveservices.azure.com", "azure"),
    ("generativelanguage.googleapis.com", "google"),
    ("inference.ai.azure.com", "azure"),
    ("openai.azure.com", "azure"),
    ("openrouter.ai", "openrouter"),
    ("services.ai.azure.com", "azure"),
];

/// The seller, from the first that says one: the host that was called, the names of the provider
/// (of which Vertex is more exact than Google), the word before a slash in the model's name.
pub(crate) fn seller<'t>(
    names: impl IntoIterator<Item = &'t str>,
    address: Option<&str>,
    model: Option<&str>,
) -> Option<Service> {
    if let Some(known) = address.and_then(|address| of_host(&host(address))) {
        return Service::parse(known).ok();
    }
    let named: Vec<Service> = names.into_iter().filter_map(of_name).collect();
    let vertex = named.iter().find(|service| service.as_str() == "vertex");
    let is_google = named.first().is_some_and(|service| service.as_str() == "google");
    let exact = vertex.filter(|_| is_google).or(named.first());
    let prefixed = || {
        let (route, _) = model?.split_once('/')?;
        Service::parse(known(&route.to_ascii_lowercase())?).ok()
    };
    exact.cloned().or_else(prefixed)
}

/// What the address that was called says about the rate: the location of a Vertex endpoint, the
/// place of OpenAI's regional hosts.
pub(crate) fn context_of_address(address: &str) -> RateContext {
    let host = host(address);
    let place = |field, word: &str| Place::parse(field, word).ok();
    let location = match host.strip_suffix("aiplatform.googleapis.com") {
        Some("") => place("vertex_location", Place::GLOBAL),
        Some(location) => {
            location.strip_suffix('-').and_then(|location| place("vertex_location", location))
        }
        None => None,
    };
    let region = host.strip_suffix(".api.openai.com");
    RateContext {
        vertex_location: location,
        data_residency: region.and_then(|region| place("data_residency", region)),
        ..RateContext::default()
    }
}

/// The seller of a provider's name, in any case; else a service of that name.
fn of_name(name: &str) -> Option<Service> {
    let name = name.trim().to_ascii_lowercase().replace(' ', "_");
    if let Some(known) = known(&name) {
        return Service::parse(known).ok();
    }
    let is_slug = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    let slug: String = name.chars().map(|it| if is_slug(it) { it } else { '-' }).collect();
    let slug = slug.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    Service::parse(slug).ok()
}

fn known(name: &str) -> Option<&'static str> {
    let exact = NAMES.iter().find(|(known, _)| *known == name).map(|(_, seller)| *seller);
    exact.or_else(|| {
        let (rest, interface) = name.rsplit_once('.')?;
        INTERFACES.contains(&interface).then(|| known(rest))?
    })
}

fn of_host(host: &str) -> Option<&'static str> {
    if host.starts_with("bedrock-runtime") && host.ends_with(".amazonaws.com") {
        return Some("bedrock");
    }
    let is_of = |end: &str| {
        host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '-']))
    };
    HOSTS.iter().find(|(end, _)| is_of(end)).map(|(_, seller)| *seller)
}

/// The host of an address or of a host with a port, in lower case.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or(host).trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Option<String> {
        seller(names.iter().copied(), None, None).map(|service| service.to_string())
    }

    #[test]
    fn every_generation_of_provider_names_is_one_of_our_sellers() {
        for (name, expected) in [
            ("openai", "openai"),
            ("OpenAI", "openai"),
            ("openai.chat", "openai"),
            ("openai.responses", "openai"),
            ("anthropic.messages", "anthropic"),
            ("aws.bedrock", "bedrock"),
            ("AWS", "bedrock"),
            ("azure.ai.openai", "azure"),
            ("az.ai.openai", "azure"),
            ("Azure OpenAI", "azure"),
            ("azure.ai.inference", "azure"),
            ("gcp.gemini", "google"),
            ("gcp.gen_ai", "google"),
            ("google.generative-ai", "google"),
            ("gcp.vertex_ai", "vertex"),
            ("vertex_ai", "vertex"),
            ("google.vertex.chat", "vertex"),
            ("mistral_ai", "mistral"),
            ("MistralAI", "mistral"),
            ("x_ai", "xai"),
            ("moonshot_ai", "moonshot"),
            ("ibm.watsonx.ai", "watsonx"),
            ("deepseek", "deepseek"),
            ("groq", "groq"),
            ("perplexity", "perplexity"),
            ("cohere", "cohere"),
        ] {
            assert_eq!(named(&[name]).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn unknown_names_stay_services_of_that_name() {
        for (name, expected) in [
            ("Ollama", Some("ollama")),
            ("My Gateway!", Some("my_gateway")),
            ("aws.sagemaker", Some("aws.sagemaker")),
            (" - ", None),
            ("", None),
        ] {
            assert_eq!(named(&[name]).as_deref(), expected, "{name}");
        }
        assert_eq!(named(&["google", "vertexai"]).as_deref(), Some("vertex"));
        assert_eq!(named(&["azure", "openai"]).as_deref(), Some("azure"));
    }

    #[test]
    fn a_known_host_says_better_than_a_name_who_sold() {
        for (address, expected) in [
            ("api.openai.com", "openai"),
            ("eu.api.openai.com:443", "openai"),
            ("https://me@mine.openai.azure.com/openai/v1", "azure"),
            ("https://API.DeepSeek.com/v1", "deepseek"),
            ("us-east5-aiplatform.googleapis.com", "vertex"),
            ("bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
            ("notapi.openai.com", "openai"),
            ("localhost:8000", "openai"),
            ("api.openai.com.example.org", "openai"),
        ] {
            let service = seller(["openai"], Some(address), None).unwrap();
            assert_eq!(service.as_str(), expected, "{address}");
        }
        assert_eq!(of_host("notapi.deepseek.com"), None);
    }

    #[test]
    fn a_route_before_the_models_name_is_the_last_to_be_asked() {
        let by_model = |model| seller([], None, Some(model)).map(|service| service.to_string());
        assert_eq!(by_model("vertex_ai/gemini-2.5-pro").as_deref(), Some("vertex"));
        assert_eq!(by_model("gpt-4o"), None);
        assert_eq!(by_model("acme/gpt-4o"), None);
        let both = seller(["groq"], None, Some("openai/gpt-oss-120b")).unwrap();
        assert_eq!(both.as_str(), "groq");
    }

    #[test]
    fn addresses_say_the_place_that_changes_the_rate() {
        let location = |address| {
            context_of_address(address).vertex_location.map(|place| place.as_str().to_owned())
        };
        assert_eq!(location("us-east5-aiplatform.googleapis.com").as_deref(), Some("us-east5"));
        assert_eq!(location("aiplatform.googleapis.com").as_deref(), Some("global"));
        assert_eq!(location("example.org"), None);
        let residency = context_of_address("https://eu.api.openai.com/v1").data_residency;
        assert_eq!(residency.unwrap().as_str(), "eu");
        assert_eq!(context_of_address("api.openai.com"), RateContext::default());
    }
}
