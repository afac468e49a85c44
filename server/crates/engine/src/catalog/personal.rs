//! Keys that look as if their values were about a person.

/// What makes a key look personal wherever it stands in it, case and separators left out: `billing-Email`, `passwd`,
/// `customerPhoneNumber`.
const PARTS: &[&str] = &[
    "address",
    "anonymousid",
    "apikey",
    "auth",
    "birth",
    "cardnumber",
    "cookie",
    "credential",
    "creditcard",
    "debitcard",
    "email",
    "fingerprint",
    "gender",
    "iban",
    "insurance",
    "ipaddr",
    "latitude",
    "licence",
    "license",
    "longitude",
    "passcode",
    "passport",
    "passwd",
    "password",
    "phone",
    "postal",
    "postcode",
    "private",
    "secret",
    "session",
    "signature",
    "socialsecurity",
    "street",
    "surname",
    "taxid",
    "token",
    "userid",
    "username",
    "firstname",
    "fullname",
    "lastname",
    "maidenname",
    "middlename",
    "nickname",
    "zipcode",
];

/// What makes a key look personal as a word of its own: `card_no`, `lastIP`.
const WORDS: &[&str] = &[
    "account", "actor", "age", "avatar", "bic", "card", "contact", "customer", "cvc", "cvv", "dob", "fax",
    "guid", "holder", "idfa", "idfv", "gaid", "imei", "ip", "key", "lat", "lng", "lon", "login", "mail",
    "mobile", "msisdn", "otp", "owner", "pan", "pass", "person", "pin", "pwd", "religion", "salary", "sex",
    "sid", "sms", "ssn", "tan", "tel", "uid", "user", "uuid", "vat", "zip",
];

/// A name is a person's unless one of these stands right before it: `product_name`.
const THINGS: &[&str] = &[
    "app",
    "brand",
    "button",
    "campaign",
    "category",
    "coupon",
    "event",
    "experiment",
    "feature",
    "file",
    "form",
    "item",
    "list",
    "page",
    "plan",
    "product",
    "screen",
    "section",
    "store",
    "tab",
    "variant",
];

/// Whether values of this key are never shown as samples. Rather one too many: a key that looks personal and is not only
/// goes without samples.
pub(super) fn looks_personal(key: &str) -> bool {
    let words = words(key);
    let dense = words.concat();
    let is_listed = |word: &String| WORDS.contains(&word.as_str());
    let of_thing = |i: usize| i > 0 && THINGS.contains(&words[i - 1].as_str());
    let is_name = |(i, word): (usize, &String)| matches!(word.as_str(), "name" | "names") && !of_thing(i);
    PARTS.iter().any(|part| dense.contains(part))
        || words.iter().any(is_listed)
        || words.iter().enumerate().any(is_name)
}

/// A key's words in lower case: they end where no letter or digit stands, and where a small letter is followed by a
/// capital one.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for letter in key.chars() {
        let ends = !letter.is_alphanumeric() || (after_small && letter.is_uppercase());
        if ends {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        after_small = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_about_persons_look_personal() {
        for key in [
            "email",
            "Email",
            "userEmail",
            "billing-email",
            "e_mail",
            "mail",
            "phone",
            "customerPhoneNumber",
            "name",
            "Name",
            "first_name",
            "lastName",
            "FULL_NAME",
            "username",
            "names",
            "ship_to_address",
            "ipAddress",
            "lastIP",
            "ip",
            "password",
            "passwd",
            "apiToken",
            "access_token",
            "client-secret",
            "iban",
            "card",
            "card_no",
            "cardNumber",
            "ssn",
            "dob",
            "date_of_birth",
            "zip",
            "postal_code",
            "session_id",
            "userId",
            "uuid",
            "product_owner_name",
            "street2",
            "lat",
            "telefon.tel",
        ] {
            assert!(looks_personal(key), "{key}");
        }
    }

    #[test]
    fn the_page_lists_every_word() {
        let page = include_str!("../../../../../docs/semantics.md");
        for (row, words) in [
            ("| anywhere in the key", PARTS),
            ("| as a word of its own", WORDS),
            ("| `name` or `names` as a word", THINGS),
        ] {
            let line = page.lines().find(|line| line.starts_with(row)).unwrap();
            let listed = line.split('|').nth(2).unwrap().split(',').map(str::trim).collect::<BTreeSet<_>>();
            assert_eq!(listed, words.iter().copied().collect(), "{row}");
        }
    }

    #[test]
    fn keys_about_things_do_not() {
        for key in [
            "product_name",
            "productName",
            "plan-name",
            "price",
            "currency",
            "colour",
            "shipping",
            "discard",
            "cardinality",
            "page",
            "quantity",
            "variant",
            "stage",
            "ships",
            "usage",
            "panel",
            "tandem",
            "compass",
            "category",
            "",
            "_",
            "step_2",
        ] {
            assert!(!looks_personal(key), "{key}");
        }
    }
}
