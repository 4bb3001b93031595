//! Nobody waits for a store that does not answer.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{StoreError, Storing};
use crate::clock::{Clock, SystemClock};

/// How long anyone waits for one call of a store, in real time.
pub(in crate::rotator) const LONGEST_ANSWER_OF_A_STORE: Duration = Duration::from_secs(1);

/// What a store says within [`LONGEST_ANSWER_OF_A_STORE`]; after that it is as good as one that
/// cannot be used.
pub(in crate::rotator) async fn in_time<T>(mut storing: Storing<'_, T>) -> Result<T, StoreError> {
    // Memory and files answer at once, and need no runtime for it.
    if let Poll::Ready(answer) =
        poll_fn(|context| Poll::Ready(storing.as_mut().poll(context))).await
    {
        return answer;
    }
    let Ok(runtime) = Handle::try_current() else {
        return storing.await;
    };
    // A task of its own, since a runtime without timers panics: there the store has all the time.
    let limit = runtime.spawn(async { SystemClock.sleep(LONGEST_ANSWER_OF_A_STORE).await });
    let abort = limit.abort_handle();
    let mut over = pin!(async {
        if limit.await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    let answer = poll_fn(|context| match storing.as_mut().poll(context) {
        Poll::Pending => over
            .as_mut()
            .poll(context)
            .map(|()| Err(StoreError::no_answer())),
        ready => ready,
    })
    .await;
    abort.abort();
    answer
}
