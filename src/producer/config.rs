//! What an application sets before there is a producer: values by name, and its callbacks.

use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

use crate::code::{Code, Error, Result};
use crate::delivery::{Delivery, ReadyCallback};
use crate::io::LogCallback;
use crate::producer::partitioner::Partitioner;
use crate::producer::serializer::Serializer;
use crate::producer::settings::resolve::Own;
use crate::producer::settings::{self, ROWS, Settings, Value, properties};

/// Takes deliveries, on the library's delivery thread, one call at a time.
pub type DeliveryCallback = Arc<dyn Fn(&[Delivery]) + Send + Sync>;

/// The settings of a producer to come. [`Config::set`] checks each value, [`Config::resolve`] the whole.
#[derive(Clone, Default)]
pub struct Config {
    /// By row of the table; `None`: not set. Grows with the first value.
    values: Vec<Option<Value>>,
    /// Chooses partitions in place of `partitioner.class`.
    pub partitioner: Option<Partitioner>,
    /// Writes keys in place of `key.serializer`.
    pub key_serializer: Option<Serializer>,
    /// Writes values in place of `value.serializer`.
    pub value_serializer: Option<Serializer>,
    /// Gets the deliveries, in place of `poll`.
    pub delivery_callback: Option<DeliveryCallback>,
    /// Called when `poll` would return at once.
    pub ready_callback: Option<ReadyCallback>,
    /// Gets the log.
    pub log_callback: Option<LogCallback>,
}

impl Config {
    /// Nothing is set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one value by Kafka's name or an alias of librdkafka's; a later one replaces it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unknown name (with the nearest known one) or a value out of range (with the range);
    /// `UNSUPPORTED` for what this build does not have. Nothing changes then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let (row, value) = settings::check(name, value)?;
        self.values.resize(ROWS.len(), None);
        if let Some(slot) = self.values.get_mut(row.id as usize) {
            *slot = Some(value);
        }
        Ok(())
    }

    /// Sets all of a `.properties` text in UTF-8. Of one name given twice the last counts, as in Java.
    ///
    /// # Errors
    /// As [`Config::set`], with the line; also if two names of one setting stand there with different values.
    /// Nothing is set then.
    pub fn load(&mut self, text: &[u8]) -> Result<()> {
        let mut changed = self.clone();
        let mut seen: Vec<(settings::Id, String, Value)> = Vec::new();
        for property in properties::parse(text)? {
            let with_line = |error: Error| {
                let message = format!("line {}: {}", property.line, error.message);
                Error { message, ..error }
            };
            let (row, value) = settings::check(&property.key, &property.value).map_err(with_line)?;
            let other = seen.iter().find(|(id, name, old)| *id == row.id && *name != property.key && *old != value);
            if let Some((_, name, _)) = other {
                let message = format!("{} and {name} are the same setting with different values", property.key);
                return Err(with_line(Error::new(Code::INVALID_ARGUMENT, message)));
            }
            changed.set(&property.key, &property.value).map_err(with_line)?;
            seen.push((row.id, property.key, value));
        }
        *self = changed;
        Ok(())
    }

    /// What was set, else the default, in this library's own words and in the unit of `name`. Empty: neither.
    ///
    /// # Errors
    /// As [`Config::set`] for a name that is not known or not supported.
    pub fn get(&self, name: &str) -> Result<String> {
        let (row, scale) = settings::known(name)?;
        let set = self.values.get(row.id as usize).and_then(Option::as_ref);
        Ok(settings::unscaled(scale, set.unwrap_or(&row.default)))
    }

    /// The names of all settings, one after the other; `None` after the last.
    #[must_use]
    pub fn name(index: usize) -> Option<&'static CStr> {
        ROWS.get(index).map(|row| row.c_name)
    }

    /// Checks the whole and fills in what was not set: a time or a size that was not set gives way to one that was;
    /// a guarantee never does.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the settings that contradict each other, or the one that is missing.
    pub fn resolve(&self) -> Result<Settings> {
        let own = Own {
            partitioner: self.partitioner.is_some(),
            key_serializer: self.key_serializer.is_some(),
            value_serializer: self.value_serializer.is_some(),
        };
        settings::resolve(&self.values, own)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = ROWS.iter().zip(&self.values).filter_map(|(row, value)| Some((row.name, value.as_ref()?.text())));
        out.debug_map().entries(set).finish()
    }
}
