//! What must hold before a service takes its first event.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Service, StartError};
use crate::event::EventDef;
use crate::handler::Entry;
use crate::registry::events;
use crate::state::Needs;
use crate::transport::{GroupName, Plan, Survey};

/// A shorter lease could not be renewed in time on a busy machine.
const MIN_LEASE: Duration = Duration::from_millis(100);

/// Everything that can be seen without the broker.
pub(super) fn alone(service: &mut Service) -> Result<(), StartError> {
    if let Some(fault) = service.fault.take() {
        return Err(fault);
    }
    if service.entries.is_empty() {
        return Err(StartError::NoHandlers { service: service.name.clone() });
    }
    tune(service)?;
    settings(service)?;
    service.entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in &service.entries {
        GroupName::new(&service.name, &entry.name)?;
    }
    names(&service.entries)?;
    for entry in &service.entries {
        let mut needs = Needs::default();
        (entry.requires)(&mut needs);
        if let Some(state) = service.states.missing(&needs) {
            let (handler, given) = (entry.to_string(), service.states.names());
            return Err(StartError::MissingState { handler, state, given });
        }
    }
    subjects(&service.entries)
}

fn tune(service: &mut Service) -> Result<(), StartError> {
    let known: Vec<String> = service.entries.iter().map(|entry| entry.name.clone()).collect();
    let unknown = |call, handler: &String| StartError::UnknownHandler {
        call,
        handler: handler.clone(),
        known: known.clone(),
    };
    for (handler, change) in std::mem::take(&mut service.tuned) {
        let entry = service.entries.iter_mut().find(|entry| entry.name == handler);
        let entry = entry.ok_or_else(|| unknown("tune", &handler))?;
        let name = entry.options.name;
        entry.options = change(entry.options);
        if entry.options.name != name {
            let (what, value) = (format!("the name of {entry}"), "tuned".to_owned());
            let reason = "another name is another group; set it in the attribute";
            return Err(StartError::Setting { what, value, reason });
        }
    }
    if let Some((handler, _)) = service.layered.iter().find(|(name, _)| !known.contains(name)) {
        return Err(unknown("middleware_for", handler));
    }
    match service.retired.iter().find(|name| known.contains(name)) {
        Some(handler) => Err(StartError::NotRetired { handler: handler.clone() }),
        None => Ok(()),
    }
}

/// What could be set and can not work.
fn settings(service: &Service) -> Result<(), StartError> {
    if let Some(state) = service.states.twice() {
        return Err(StartError::TwoStates { state });
    }
    if service.lease < MIN_LEASE {
        let (what, value) = ("the lease".to_owned(), format!("{:?}", service.lease));
        return Err(StartError::Setting { what, value, reason: "it is at least 100 ms" });
    }
    for entry in &service.entries {
        if entry.options.timeout.is_zero() {
            let (what, value) = (format!("the time-out of {entry}"), "0".to_owned());
            return Err(StartError::Setting { what, value, reason: "no run could end in time" });
        }
    }
    Ok(())
}

fn names(entries: &[Entry]) -> Result<(), StartError> {
    let mut sites = BTreeMap::new();
    for entry in entries {
        let Some(site) = &entry.site else { continue };
        let place = (site.file, site.line, site.name);
        if let Some(first) = sites.insert(place, site.module) {
            let (handler, second) = (entry.to_string(), site.module);
            return Err(StartError::ThereTwice { handler, first, second });
        }
    }
    for pair in entries.windows(2) {
        if let [first, second] = pair
            && first.name == second.name
        {
            let (first, second) = (first.to_string(), second.to_string());
            return Err(StartError::TwoHandlers { first, second });
        }
    }
    Ok(())
}

/// Only events that are handled here count: others are their own services' business.
fn subjects(entries: &[Entry]) -> Result<(), StartError> {
    let mut known: Vec<EventDef> = entries.iter().map(|entry| entry.event).collect();
    known.extend(events());
    for entry in entries {
        let here = entry.event;
        let filter = here.subject.filter();
        let shares = |other: &&EventDef| {
            other.type_name != here.type_name && filter.overlaps(&other.subject.filter())
        };
        if let Some(other) = known.iter().find(shares) {
            let (first, second) = (here.to_string(), other.to_string());
            return Err(StartError::SharedSubject { first, second });
        }
    }
    Ok(())
}

/// What the transport is asked about.
pub(super) fn plan(service: &Service) -> Plan {
    let filters = service.entries.iter().map(|entry| entry.event.subject.filter()).collect();
    Plan::new(service.name.as_str(), filters)
}

/// Everything that the transport's answer shows.
pub(super) fn surveyed(service: &Service, survey: &Survey) -> Result<(), StartError> {
    for entry in &service.entries {
        let (subject, timeout) = (entry.event.subject.filter(), entry.options.timeout);
        if survey.uncovered.contains(&subject) {
            return Err(StartError::NoStream { handler: entry.to_string(), subject });
        }
        if survey.fixed_leases && service.lease < timeout {
            let (handler, lease) = (entry.to_string(), service.lease);
            return Err(StartError::LeaseTooShort { handler, timeout, lease });
        }
    }
    for (group, waiting) in &survey.groups {
        let here = service.entries.iter().any(|entry| entry.name == group.handler());
        let retired = service.retired.iter().any(|name| name == group.handler());
        if !here && !retired {
            return Err(StartError::Orphan { group: group.clone(), waiting: *waiting });
        }
    }
    Ok(())
}
