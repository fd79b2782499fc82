//! An honest transport, with one thing done wrong.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bus_core::answer::Answer;
use bus_core::envelope::{Trace, TraceContext};
use bus_core::memory::{Memory, MemoryConfig};
use bus_core::operator::{DeadLetter, DeadLetterId, Lag, Letters, Operator, OperatorError, Page};
use bus_core::transport::{
    Deliveries, Group, GroupName, Health, Plan, Start, Survey, Transport, TransportError,
};
use bus_core::{Envelope, EventId, Headers, async_trait};
use tokio::sync::watch;

use crate::member::Member;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sabotage {
    None,
    AcksAllBefore,
    AcksOnArrival,
    CancelsSilently,
    ComesEarly,
    CountsReleases,
    CutsTimes,
    ForgetsAcks,
    ForgetsAttempts,
    ForgetsFirstFailure,
    ForgetsSpans,
    /// What waits for its next attempt counts as done.
    ForgetsWhatIsDelayed,
    ForgetsWhatWaits,
    GoesOnAfterStop,
    IgnoresBegin,
    KeepsSpansThroughRedrives,
    LimitsDelays,
    ListsWithoutLimit,
    LosesAGlance,
    LosesDeadLetters,
    LosesHeaders,
    LosesSpansOfDeadLetters,
    LosesTraces,
    LosesTracesThatWait,
    LosesWhatIsDropped,
    NamesTheFirstSpan,
    NeverDelivers,
    NeverRenews,
    PurgesByRedrive,
    ReadsPayloadsAsText,
    ReadsTheFirstPageAgain,
    RedrivesSilently,
    RedrivesToAll,
    RedrivesWithoutHop,
    ReleasesWhatIsDropped,
    RetriesAtOnce,
    ReversesPairs,
    ShowsNoPayload,
    StartsAtTheBeginning,
    StoresDuplicates,
    TakesTheHopForTheOrigin,
}

pub(crate) struct Broken {
    memory: Memory,
    sabotage: Sabotage,
}

impl Broken {
    pub(crate) fn new(sabotage: Sabotage) -> Self {
        let mut config = MemoryConfig::default();
        if matches!(sabotage, Sabotage::StoresDuplicates | Sabotage::RedrivesToAll) {
            config.duplicate_window = Duration::ZERO;
        }
        config.renew = sabotage != Sabotage::NeverRenews;
        Self { memory: Memory::seeded(config, 1), sabotage }
    }
}

#[async_trait]
impl Transport for Broken {
    fn publish(&self, mut envelope: Envelope) -> Answer<Result<(), TransportError>> {
        match self.sabotage {
            Sabotage::LosesHeaders => envelope.headers = Headers::new(),
            Sabotage::LosesTraces => envelope.trace = Trace::default(),
            Sabotage::CutsTimes => {
                let since = envelope.time.duration_since(UNIX_EPOCH).unwrap();
                envelope.time = UNIX_EPOCH + Duration::from_secs(since.as_secs());
            }
            Sabotage::ReadsPayloadsAsText => {
                let text = String::from_utf8_lossy(&envelope.payload).into_owned();
                envelope.payload = text.into();
            }
            _ => {}
        }
        self.memory.publish(envelope)
    }

    fn publish_at(
        &self,
        mut envelope: Envelope,
        due: SystemTime,
    ) -> Answer<Result<(), TransportError>> {
        match self.sabotage {
            Sabotage::ComesEarly => {
                self.memory.publish_at(envelope, due - Duration::from_millis(5))
            }
            Sabotage::ForgetsWhatWaits => Answer::now(Ok(())),
            Sabotage::LosesTracesThatWait => {
                envelope.trace = Trace::default();
                self.memory.publish_at(envelope, due)
            }
            _ => self.memory.publish_at(envelope, due),
        }
    }

    fn cancel(&self, domain: &str, id: &EventId) -> Answer<Result<bool, TransportError>> {
        match self.sabotage {
            Sabotage::CancelsSilently => Answer::now(Ok(true)),
            _ => self.memory.cancel(domain, id),
        }
    }

    async fn subscribe(&self, mut group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        if self.sabotage == Sabotage::StartsAtTheBeginning {
            group.start = Start::Beginning;
        }
        let inner = self.memory.subscribe(group).await?;
        Ok(Box::new(Member::new(inner, self.sabotage)))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.memory.health()
    }

    async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        let mut survey = self.memory.survey(plan).await?;
        survey.fixed_leases = false;
        Ok(survey)
    }

    fn operator(&self) -> Option<&dyn Operator> {
        Some(self)
    }
}

#[async_trait]
impl Operator for Broken {
    async fn lag(&self, group: &GroupName) -> Result<Lag, OperatorError> {
        self.memory.lag(group).await
    }

    async fn behind(&self, group: &GroupName) -> Result<u64, OperatorError> {
        let lag = self.memory.lag(group).await?;
        let forgets = self.sabotage == Sabotage::ForgetsWhatIsDelayed;
        Ok(lag.behind() - if forgets { lag.delayed } else { 0 })
    }

    async fn page(&self, page: &Page) -> Result<Letters, OperatorError> {
        let mut page = page.clone();
        match self.sabotage {
            Sabotage::ListsWithoutLimit => page.limit = usize::MAX,
            Sabotage::ReadsTheFirstPageAgain if page.after > 2 => page.after -= 1,
            _ => {}
        }
        self.memory.page(&page).await
    }

    async fn dead_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, OperatorError> {
        let mut letter = self.memory.dead_letter(id).await?;
        if self.sabotage == Sabotage::ShowsNoPayload {
            Arc::make_mut(&mut letter.envelope).payload = Vec::new().into();
        }
        Ok(letter)
    }

    async fn purge(&self, id: &DeadLetterId) -> Result<(), OperatorError> {
        match self.sabotage {
            Sabotage::PurgesByRedrive => self.memory.redrive(id, None).await,
            _ => self.memory.purge(id).await,
        }
    }

    async fn redrive(
        &self,
        id: &DeadLetterId,
        hop: Option<&TraceContext>,
    ) -> Result<(), OperatorError> {
        let letters = self.memory.dead_letters(None, usize::MAX).await?;
        let letter = letters.into_iter().find(|letter| letter.id == *id);
        match (self.sabotage, letter) {
            (Sabotage::RedrivesSilently, None) => Ok(()),
            (Sabotage::RedrivesToAll, Some(letter)) => {
                self.memory.publish(Envelope::clone(&letter.envelope)).await.unwrap();
                Ok(())
            }
            (Sabotage::RedrivesWithoutHop, _) => self.memory.redrive(id, None).await,
            _ => self.memory.redrive(id, hop).await,
        }
    }
}
