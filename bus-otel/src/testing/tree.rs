use std::collections::BTreeMap;
use std::fmt::Write;

use opentelemetry::trace::{SpanContext, SpanId, Status};
use opentelemetry::{KeyValue, trace::Link};

use super::capture::Seen;

/// The attributes that tell one span of a flow from another.
const SHOWN: [&str; 3] = ["bus.attempt", "bus.outcome", "error.type"];
const UNSEEN: &str = "?";

/// Of the trace and of the span in it.
type Id = ([u8; 16], [u8; 8]);

pub(super) fn draw(mut spans: Vec<Seen>) -> String {
    spans.sort_by(|a, b| order(a).cmp(&order(b)));
    let names = spans.iter().map(|seen| (id(seen), seen.span.name.clone())).collect();
    let mut children: BTreeMap<Option<Id>, Vec<&Seen>> = BTreeMap::new();
    for seen in &spans {
        let parent = id_in(&seen.span.span_context, seen.span.parent_span_id);
        let known = spans.iter().any(|other| id(other) == parent);
        children.entry(known.then_some(parent)).or_default().push(seen);
    }
    let tree = Tree { names, children };
    let mut text = String::new();
    tree.write(&mut text, None, 0);
    text
}

struct Tree<'a> {
    names: BTreeMap<Id, std::borrow::Cow<'static, str>>,
    children: BTreeMap<Option<Id>, Vec<&'a Seen>>,
}

impl Tree<'_> {
    fn write(&self, text: &mut String, parent: Option<Id>, depth: usize) {
        for seen in self.children.get(&parent).into_iter().flatten() {
            let _ = writeln!(text, "{:1$}{2}", "", depth * 2, self.line(seen));
            self.write(text, Some(id(seen)), depth + 1);
        }
    }

    fn line(&self, Seen { service, span }: &Seen) -> String {
        let kind = format!("{:?}", span.span_kind).to_uppercase();
        let mut line = format!("{} {kind}", span.name);
        let own =
            SHOWN.iter().filter_map(|key| Some(format!("{key}={}", find(&span.attributes, key)?)));
        let service = (!service.is_empty()).then(|| format!("service={service}"));
        let shown: Vec<_> = own.chain(service).collect();
        if !shown.is_empty() {
            let _ = write!(line, " [{}]", shown.join(" "));
        }
        match &span.status {
            Status::Unset => {}
            Status::Ok => line.push_str(" ok"),
            Status::Error { .. } => line.push_str(" error"),
        }
        span.links.iter().for_each(|link| line.push_str(&self.link(link)));
        line
    }

    fn link(&self, link: &Link) -> String {
        let target = id_in(&link.span_context, link.span_context.span_id());
        let name = self.names.get(&target).map_or(UNSEEN, |name| name);
        format!(" ~link({})->{name}", find(&link.attributes, "bus.link").unwrap_or_default())
    }
}

fn order(seen: &Seen) -> impl Ord + '_ {
    (seen.span.start_time, &seen.span.name)
}

fn id(seen: &Seen) -> Id {
    id_in(&seen.span.span_context, seen.span.span_context.span_id())
}

fn id_in(context: &SpanContext, span: SpanId) -> Id {
    (context.trace_id().to_bytes(), span.to_bytes())
}

fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}
