//! The sellers of the built-in catalogue, and what the public catalogues call them.

/// A seller and where its rows come from.
pub(crate) struct Seller {
    /// As the catalogue's file is named.
    pub(crate) name: &'static str,
    /// `litellm_provider` of its rows; a trailing `*` stands for any ending.
    pub(crate) litellm: &'static [&'static str],
    /// Routing prefixes of its keys there, of which one is removed.
    pub(crate) litellm_prefixes: &'static [&'static str],
    /// Its id in genai-prices.
    pub(crate) genai: &'static str,
    /// Its channels in metergraph.
    pub(crate) channels: &'static [&'static str],
    /// Where it publishes its own prices.
    pub(crate) hosts: &'static [&'static str],
    /// Sellers whose price it charges for their models.
    pub(crate) charges_price_of: &'static [&'static str],
    /// Whether its cards for much input begin at the threshold, not above it.
    pub(crate) inclusive_bounds: bool,
}

const PLAIN: Seller = Seller {
    name: "",
    litellm: &[],
    litellm_prefixes: &[],
    genai: "",
    channels: &[],
    hosts: &[],
    charges_price_of: &[],
    inclusive_bounds: false,
};

pub(crate) const SELLERS: &[Seller] = &[
    Seller {
        name: "anthropic",
        litellm: &["anthropic"],
        litellm_prefixes: &["anthropic/"],
        genai: "anthropic",
        channels: &["anthropic-api"],
        hosts: &["anthropic.com", "claude.com"],
        ..PLAIN
    },
    Seller {
        name: "azure",
        litellm: &["azure", "azure_ai", "azure_text"],
        litellm_prefixes: &["azure_ai/", "azure/"],
        genai: "azure",
        hosts: &["microsoft.com", "azure.com"],
        charges_price_of: &["openai", "anthropic", "deepseek", "xai", "moonshot"],
        ..PLAIN
    },
    Seller {
        name: "bedrock",
        litellm: &["bedrock_mantle", "bedrock_converse", "bedrock"],
        litellm_prefixes: &["bedrock_mantle/", "bedrock/"],
        genai: "aws",
        channels: &["aws-bedrock", "aws-bedrock-geo"],
        hosts: &["aws.amazon.com", "amazonaws.com"],
        ..PLAIN
    },
    Seller {
        name: "cerebras",
        litellm: &["cerebras"],
        litellm_prefixes: &["cerebras/"],
        genai: "cerebras",
        hosts: &["cerebras.ai"],
        ..PLAIN
    },
    Seller {
        name: "cohere",
        litellm: &["cohere", "cohere_chat"],
        litellm_prefixes: &["cohere/"],
        genai: "cohere",
        hosts: &["cohere.com"],
        ..PLAIN
    },
    Seller {
        name: "deepseek",
        litellm: &["deepseek"],
        litellm_prefixes: &["deepseek/"],
        genai: "deepseek",
        channels: &["deepseek-api"],
        hosts: &["deepseek.com"],
        ..PLAIN
    },
    Seller {
        name: "fireworks",
        litellm: &["fireworks_ai", "fireworks_ai-embedding-models"],
        litellm_prefixes: &["fireworks_ai/"],
        genai: "fireworks",
        channels: &["fireworks-api"],
        hosts: &["fireworks.ai"],
        ..PLAIN
    },
    Seller {
        name: "google",
        litellm: &["gemini"],
        litellm_prefixes: &["gemini/"],
        genai: "google",
        channels: &["google-api"],
        hosts: &["google.dev", "google.com"],
        ..PLAIN
    },
    Seller {
        name: "groq",
        litellm: &["groq"],
        litellm_prefixes: &["groq/"],
        genai: "groq",
        hosts: &["groq.com"],
        ..PLAIN
    },
    Seller {
        name: "mistral",
        litellm: &["mistral"],
        litellm_prefixes: &["mistral/"],
        genai: "mistral",
        channels: &["mistral-api"],
        hosts: &["mistral.ai", "github.com/mistralai"],
        ..PLAIN
    },
    Seller {
        name: "moonshot",
        litellm: &["moonshot"],
        litellm_prefixes: &["moonshot/"],
        genai: "moonshotai",
        channels: &["moonshot-api"],
        hosts: &["moonshot.ai", "kimi.ai", "moonshot.cn"],
        ..PLAIN
    },
    Seller {
        name: "openai",
        litellm: &["openai", "text-completion-openai"],
        litellm_prefixes: &["openai/"],
        genai: "openai",
        channels: &["openai-api"],
        hosts: &["openai.com"],
        ..PLAIN
    },
    Seller {
        name: "perplexity",
        litellm: &["perplexity"],
        litellm_prefixes: &["perplexity/"],
        genai: "perplexity",
        channels: &["perplexity-api"],
        hosts: &["perplexity.ai"],
        ..PLAIN
    },
    Seller {
        name: "together",
        litellm: &["together_ai"],
        litellm_prefixes: &["together_ai/"],
        genai: "together",
        hosts: &["together.ai"],
        ..PLAIN
    },
    Seller {
        name: "vertex",
        litellm: &["vertex_ai*"],
        litellm_prefixes: &["vertex_ai/"],
        genai: "google",
        channels: &["google-vertex-ai"],
        hosts: &["cloud.google.com", "google.dev"],
        charges_price_of: &["google", "anthropic"],
        ..PLAIN
    },
    Seller {
        name: "xai",
        litellm: &["xai"],
        litellm_prefixes: &["xai/"],
        genai: "x-ai",
        channels: &["xai-api"],
        hosts: &["x.ai"],
        inclusive_bounds: true,
        ..PLAIN
    },
];

/// The sellers that genai-prices means by an id: `google` sells on two platforms.
pub(crate) fn of_genai(id: &str) -> impl Iterator<Item = &'static Seller> {
    SELLERS.iter().filter(move |seller| seller.genai == id)
}

/// The seller of a channel of metergraph.
pub(crate) fn of_channel(channel: &str) -> Option<&'static Seller> {
    SELLERS.iter().find(|seller| seller.channels.contains(&channel))
}

/// The seller of a row of LiteLLM's.
pub(crate) fn of_litellm(provider: &str) -> Option<&'static Seller> {
    SELLERS.iter().find(|seller| seller.litellm_rank(provider).is_some())
}

impl Seller {
    /// How far down in the list a provider is: of two keys with one name, the first one counts.
    pub(crate) fn litellm_rank(&self, provider: &str) -> Option<usize> {
        self.litellm.iter().position(|known| match known.strip_suffix('*') {
            Some(start) => provider.starts_with(start),
            None => provider == *known,
        })
    }

    /// Whether a text speaks of one of the seller's own pages.
    pub(crate) fn publishes(&self, text: &str) -> bool {
        text.contains("http") && self.hosts.iter().any(|host| text.contains(host))
    }

    /// The name of a key of LiteLLM's at this seller.
    pub(crate) fn litellm_name<'a>(&self, key: &'a str) -> &'a str {
        let stripped = self.litellm_prefixes.iter().find_map(|prefix| key.strip_prefix(prefix));
        match stripped {
            Some(name) if self.name == "bedrock" => name.strip_prefix("invoke/").unwrap_or(name),
            Some(name) => name,
            None => key,
        }
    }
}
