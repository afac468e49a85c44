//! The event that both subjects record: a name and six properties, with values that vary as they do in an application.

/// What a caller has in its hands: owned texts, as most values outside of a program's literals are.
#[derive(Debug, Clone)]
pub struct Event {
    /// Of a few.
    pub screen: String,
    /// Never the same twice.
    pub order: String,
    /// Of a hundred.
    pub coupon: String,
    pub items: u32,
    pub express: bool,
    /// An exact number; glean knows no decimals, nor floats, in an event's extras, so it gets the text.
    pub price: String,
}

pub const CATEGORY: &str = "checkout";
pub const NAME: &str = "order_placed";

const SCREENS: [&str; 8] = [
    "cart_summary",
    "product_page",
    "search_pages",
    "wishlist_one",
    "home_landing",
    "account_page",
    "basket_quick",
    "gift_options",
];

impl Event {
    /// The `n`th event, the same in every run.
    pub fn nth(n: u64) -> Self {
        let chance = mixed(n);
        Self {
            screen: SCREENS[(chance % 8) as usize].to_owned(),
            order: format!("A{:011x}", mixed(chance) >> 20),
            coupon: format!("SPRING-26-{:02}", (chance >> 3) % 100),
            items: (chance >> 16) as u32 % 20 + 1,
            express: (chance >> 40).is_multiple_of(3),
            price: format!("{}.{:02}", (chance >> 24) % 500, (chance >> 34) % 100),
        }
    }
}

/// SplitMix64: even a counter comes out as if by chance.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
