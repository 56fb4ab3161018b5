//! Detects missing fields in responses that AWS's API model requires. The SDK replaces a missing number by 0 and a
//! missing
//! boolean by false, so that, for example, no instance would be protected any more.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

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
        let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        // Otherwise every group would count as deleted.
        if response.status().is_success() && !body.contains("<AutoScalingGroups") {
            return Err("the response has no list of groups".into());
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(lacking(&body));
        Ok(())
    }
}

/// The SDK replaces a missing string by an empty one.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

const GROUP: [&str; 2] = ["AutoScalingGroups", "member"];
const MEMBER: [&str; 4] = ["AutoScalingGroups", "member", "Instances", "member"];

/// The groups with a missing field, and the field. The SDK has parsed the text before, so it is XML. AWS's XML has no
/// relevant attributes, no comments and no CDATA sections.
fn lacking(xml: &str) -> BTreeMap<String, String> {
    let (mut group, mut member): (HashMap<&str, &str>, HashMap<&str, &str>) = Default::default();
    let (mut path, mut lacks, mut found) = (Vec::new(), None, BTreeMap::new());
    for (tag, text) in xml.split('<').filter_map(|part| part.split_once('>')) {
        // Relative to the response and result elements.
        let at = path.get(2..).unwrap_or_default();
        if tag.starts_with('/') {
            if at == MEMBER {
                let member = mem::take(&mut member);
                // Instances in the warm pool are not members.
                let ours = member.get("LifecycleState").is_none_or(|state| !state.starts_with("Warmed"));
                if ours && !member.contains_key("ProtectedFromScaleIn") {
                    let id = member.get("InstanceId").copied().unwrap_or("?");
                    lacks.get_or_insert_with(|| format!("no ProtectedFromScaleIn for instance {id}"));
                }
            } else if at == GROUP {
                let (group, member) = (mem::take(&mut group), lacks.take());
                let size = ["MinSize", "MaxSize", "DesiredCapacity"].into_iter().find(|size| !group.contains_key(size));
                let lacks = size.map(|size| format!("no {size}")).or(member);
                let name = group.get("AutoScalingGroupName").copied().unwrap_or_default();
                found.extend(lacks.map(|lacks| (plain(name), lacks)));
            }
            path.pop();
        } else if !tag.starts_with(['?', '!']) {
            let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
            if at == MEMBER {
                member.insert(name, text);
            } else if at == GROUP {
                group.insert(name, text);
            }
            if !tag.ends_with('/') {
                path.push(name);
            }
        }
    }
    found
}

/// A group's name may contain characters that XML escapes.
fn plain(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
