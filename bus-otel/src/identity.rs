use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use uuid::Uuid;

/// Who speaks: the part of the resource that the program gives.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) instance: Uuid,
}

impl Identity {
    /// The resource of this process; what the environment names wins.
    pub(crate) fn resource(&self, from_env: Option<&str>) -> Resource {
        self.named(from_env.unwrap_or(&self.name))
    }

    /// The resource of one service of several: its name is the program's to give.
    pub(crate) fn named(&self, name: &str) -> Resource {
        let version = self.version.clone().map(|v| KeyValue::new("service.version", v));
        Resource::builder_empty()
            .with_attribute(KeyValue::new("service.instance.id", self.instance.to_string()))
            .with_attributes(version)
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_detector(Box::new(EnvResourceDetector::new()))
            .with_service_name(name.to_owned())
            .build()
    }
}
