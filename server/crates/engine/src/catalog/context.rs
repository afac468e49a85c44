//! The fields of a batch's context as properties.

use footpath_model::wire::Fields;

/// The names of `footpath.v1.Context`'s fields by number; its campaign has fields of its own.
const FIELDS: [&str; 10] = [
    "app",
    "app_version",
    "os",
    "os_version",
    "device_model",
    "locale",
    "library",
    "library_version",
    "",
    "time_zone",
];
const CAMPAIGN: u32 = 9;
const CAMPAIGN_FIELDS: [&str; 5] =
    ["campaign.source", "campaign.medium", "campaign.name", "campaign.term", "campaign.content"];

/// Shows every field that is set: its name and its text.
pub(super) fn each_field(context: &[u8], see: &mut impl FnMut(&'static [u8], &[u8])) {
    each(context, &FIELDS, see);
    let campaigns = Fields::new(context).flatten().filter(|field| field.number == CAMPAIGN);
    for campaign in campaigns {
        each(campaign.bytes().unwrap_or_default(), &CAMPAIGN_FIELDS, see);
    }
}

fn each(message: &[u8], names: &[&'static str], see: &mut impl FnMut(&'static [u8], &[u8])) {
    for field in Fields::new(message).flatten() {
        let Some(name) = names.get(field.number as usize - 1).filter(|name| !name.is_empty()) else {
            continue;
        };
        if let Ok(text) = field.bytes()
            && !text.is_empty()
        {
            see(name.as_bytes(), text);
        }
    }
}
