use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

/// The attributes that tell one span of a flow from another.
const SHOWN: [&str; 3] = ["bus.attempt", "bus.outcome", "error.type"];
const UNSEEN: &str = "?";

/// By their keys, as text.
pub type Attributes = BTreeMap<String, String>;

/// Of a span.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) trace: Vec<u8>,
    pub(super) span: Vec<u8>,
}

/// What is drawn of a span, whichever way it came here.
pub(super) struct Node {
    pub(super) id: Id,
    /// All zero or empty for none.
    pub(super) parent: Vec<u8>,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) start: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) status: &'static str,
    /// To which spans, and what they are to this one.
    pub(super) links: Vec<(Id, Attributes)>,
}

/// All traces, or one of them.
pub(super) fn draw(mut nodes: Vec<Node>, trace: Option<&[u8]>) -> String {
    nodes.sort_by(|a, b| a.order().cmp(&b.order()));
    let names: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, &*node.name)).collect();
    let mut children: BTreeMap<Option<Id>, Vec<&Node>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| trace.is_none_or(|trace| node.id.trace == trace)) {
        let parent = Id { trace: node.id.trace.clone(), span: node.parent.clone() };
        let known = names.contains_key(&parent);
        children.entry(known.then_some(parent)).or_default().push(node);
    }
    let mut text = String::new();
    Tree { names, children }.write(&mut text, None, 0);
    text
}

struct Tree<'a> {
    names: BTreeMap<&'a Id, &'a str>,
    children: BTreeMap<Option<Id>, Vec<&'a Node>>,
}

impl Tree<'_> {
    fn write(&self, text: &mut String, parent: Option<Id>, depth: usize) {
        for node in self.children.get(&parent).into_iter().flatten() {
            let _ = writeln!(text, "{:1$}{2}", "", depth * 2, self.line(node));
            self.write(text, Some(node.id.clone()), depth + 1);
        }
    }

    fn line(&self, node: &Node) -> String {
        let mut line = format!("{} {}", node.name, node.kind);
        let own =
            SHOWN.iter().filter_map(|key| Some(format!("{key}={}", node.attributes.get(*key)?)));
        let service = (!node.service.is_empty()).then(|| format!("service={}", node.service));
        let shown: Vec<_> = own.chain(service).collect();
        if !shown.is_empty() {
            let _ = write!(line, " [{}]", shown.join(" "));
        }
        line.push_str(node.status);
        for (target, attributes) in &node.links {
            let name = self.names.get(target).unwrap_or(&UNSEEN);
            let what = attributes.get("bus.link").map(String::as_str).unwrap_or_default();
            let _ = write!(line, " ~link({what})->{name}");
        }
        line
    }
}

impl Node {
    /// Which of two groups begins first is chance.
    fn order(&self) -> impl Ord + '_ {
        (self.attributes.get("bus.handler"), self.start, &self.name)
    }
}
