//! A client at work: the same schedule for every strategy.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::chronicle::{Failure, Operation, Strategy, What};
use super::resource::Resource;
use super::scribe::Scribe;

/// A client application: how it gets what it shows to the resource server.
pub(super) trait Client: Send + Sync + 'static {
    /// Does what there is to do at `resource`.
    fn work(&self, resource: &Resource) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Works through `schedule`; one operation does not wait for another. Done when all are over.
pub(super) async fn work_through(
    schedule: &[Duration],
    strategy: Strategy,
    client: impl Client,
    resource: Resource,
    scribe: Scribe,
) {
    let shared = Arc::new((client, resource));
    let mut operations = JoinSet::new();
    for at in schedule {
        scribe.sleep_until(*at).await;
        operations.spawn(operate(strategy, Arc::clone(&shared), scribe.clone()));
    }
    operations.join_all().await;
}

async fn operate(strategy: Strategy, shared: Arc<(impl Client, Resource)>, scribe: Scribe) {
    let (client, resource) = &*shared;
    let wanted = scribe.now();
    let outcome = client.work(resource).await;
    let operation = Operation {
        wanted,
        over: scribe.now(),
        outcome,
    };
    scribe.note(What::Operation(strategy, operation));
}
