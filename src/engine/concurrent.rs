//! Futures that run at the same time within one task.

/// Runs the futures, at most `at_once` at a time, and returns their outputs in order.
pub async fn all<F: Future>(at_once: usize, futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting = futures.into_iter().enumerate();
    let mut running = Vec::new();
    let mut done = Vec::new();
    std::future::poll_fn(move |context| {
        loop {
            let room = at_once.max(1).saturating_sub(running.len());
            running.extend(waiting.by_ref().take(room).map(|(n, future)| (n, Box::pin(future))));
            let before = running.len();
            running.retain_mut(|(n, future)| match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => {
                    done.push((*n, output));
                    false
                }
                std::task::Poll::Pending => true,
            });
            if running.is_empty() && before == 0 {
                done.sort_by_key(|(n, _)| *n);
                return std::task::Poll::Ready(done.drain(..).map(|(_, output)| output).collect());
            }
            if running.len() == before {
                return std::task::Poll::Pending;
            }
        }
    })
    .await
}
