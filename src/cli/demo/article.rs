//! The articles of the shop.

/// An article.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Article {
    /// Its key in the dict and in forms.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) note: &'static str,
    pub(super) euros: u64,
    /// The contents of an SVG drawing, 48 by 48.
    pub(super) drawing: &'static str,
}

/// All articles.
pub(super) const SHELF: [Article; 4] = [
    Article {
        id: "bowler",
        name: "Bowler hat",
        note: "Felt, black. Never out of fashion, never in it.",
        euros: 64,
        drawing: r#"<path d="M12 32v-6a12 12 0 0 1 24 0v6"/><path d="M12 28h24"/><path d="M5 31q3 5 19 5t19-5"/>"#,
    },
    Article {
        id: "overcoat",
        name: "Overcoat",
        note: "Wool, with pockets on the inside.",
        euros: 240,
        drawing: r#"<path d="M18 8l6 7 6-7 8 4 5 20-6 2-3-12v20H14V22l-3 12-6-2 5-20z"/><path d="M24 15v27"/><path d="M28 24h.01M28 31h.01"/>"#,
    },
    Article {
        id: "scarf",
        name: "Scarf",
        note: "Two metres. Long enough for two.",
        euros: 35,
        drawing: r#"<path d="M14 10q10 7 20 0v8q-10 7-20 0z"/><path d="M20 21l-4 17h9l2-16"/><path d="M28 21l5 12 5-3-4-12"/><path d="M17 38v4M20.5 38v4M24 38v4"/>"#,
    },
    Article {
        id: "umbrella",
        name: "Umbrella",
        note: "Opens outdoors only.",
        euros: 28,
        drawing: r#"<path d="M6 26a18 18 0 0 1 36 0q-4.5-4-9 0-4.5-4-9 0-4.5-4-9 0-4.5-4-9 0z"/><path d="M24 8V5"/><path d="M24 25v13a4 4 0 0 1-8 0"/>"#,
    },
];

/// The article with this id.
pub(super) fn find(id: &str) -> Option<&'static Article> {
    SHELF.iter().find(|article| article.id == id)
}
