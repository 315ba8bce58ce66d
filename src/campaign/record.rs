//! Events that tools leave in a campaign.

use super::{Appended, Campaign, CampaignError, NewEvent};

/// Records that something happened.
pub fn note(campaign: &Campaign, event: NewEvent) -> Result<Appended, CampaignError> {
    campaign.log().append(event)
}
