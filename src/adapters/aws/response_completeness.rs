//! Detects missing fields in responses that AWS's API model requires. The SDK replaces a missing number by 0 and a
//! missing boolean by false, so that, for example, no instance would be protected any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use serde::Deserialize;

/// The missing fields of each group in the responses to `DescribeAutoScalingGroups`. Strings are checked by [`given`].
#[derive(Debug, Clone, Default)]
pub(super) struct Lacking(Arc<Mutex<BTreeMap<String, String>>>);

impl Lacking {
    pub(super) fn of(&self, group: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(group).cloned()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Lacking {
    fn name(&self) -> &'static str {
        "Lacking"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if response.status().is_success() {
            let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(lacking(&body)?);
        }
        Ok(())
    }
}

/// The SDK replaces a missing string by an empty one.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// The response to `DescribeAutoScalingGroups`, with the fields for which the SDK has default values.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    describe_auto_scaling_groups_result: DescribeAutoScalingGroupsResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAutoScalingGroupsResult {
    auto_scaling_groups: Option<List<Group>>,
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    #[serde(default)]
    auto_scaling_group_name: String,
    min_size: Option<String>,
    max_size: Option<String>,
    desired_capacity: Option<String>,
    instances: Option<List<Instance>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: Option<String>,
    lifecycle_state: Option<String>,
    protected_from_scale_in: Option<String>,
}

impl Group {
    /// The first missing field.
    fn lacks(&self) -> Option<String> {
        let sizes =
            [("MinSize", &self.min_size), ("MaxSize", &self.max_size), ("DesiredCapacity", &self.desired_capacity)];
        if let Some((size, _)) = sizes.iter().find(|(_, value)| value.is_none()) {
            return Some(format!("no {size}"));
        }
        let mut instances = self.instances.iter().flat_map(|instances| &instances.member);
        let instance =
            instances.find(|instance| instance.is_in_group() && instance.protected_from_scale_in.is_none())?;
        let id = instance.instance_id.as_deref().unwrap_or("?");
        Some(format!("no ProtectedFromScaleIn for instance {id}"))
    }
}

impl Instance {
    /// Whether it is a member of the group, and not of its warm pool.
    fn is_in_group(&self) -> bool {
        self.lifecycle_state.as_ref().is_none_or(|state| !state.starts_with("Warmed"))
    }
}

/// The groups with a missing field, and which.
fn lacking(xml: &str) -> Result<BTreeMap<String, String>, BoxError> {
    let response: Response = quick_xml::de::from_str(xml)?;
    // Otherwise every group would count as deleted.
    let groups =
        response.describe_auto_scaling_groups_result.auto_scaling_groups.ok_or("the response has no list of groups")?;
    let lacking = groups.member.into_iter().filter_map(|group| Some((group.lacks()?, group)));
    Ok(lacking.map(|(what, group)| (group.auto_scaling_group_name, what)).collect())
}
