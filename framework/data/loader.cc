// SPDX-License-Identifier: Apache-2.0
#include "framework/data/loader.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <variant>

#include <ATen/Parallel.h>
#include <dlfcn.h>

namespace triptych {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Keeps LibTorch's operators on the calling thread. OpenMP gives every thread that asks a team of
/// its own, so loader threads that run a large operator would multiply the threads; the OpenMP
/// setting is per thread, at::set_num_threads is not. Looked up by name because LibTorch brings its
/// own OpenMP library.
void keep_torch_on_this_thread() {
  at::get_num_threads();  // LibTorch's own initialisation of this thread, which would undo ours
                          // later
  using Setter = void (*)(int);
  if (auto set_threads = reinterpret_cast<Setter>(dlsym(RTLD_DEFAULT, "omp_set_num_threads")))
    set_threads(1);
}

}  // namespace

Batch make_batch(const Loader::Source& source, const std::vector<Item>& items) {
  std::vector<Sample> samples;
  samples.reserve(items.size());
  for (const Item& item : items) {
    samples.push_back(read_item(*source.dataset, item, source.roles, source.slab));
    if (source.transforms != nullptr)
      (*source.transforms)(samples.back(), RandomStream(source.seed, {item.draw}));
    if (source.slab > 1) keep_central_slices(samples.back(), source.roles);
  }
  return collate(samples);
}

struct Loader::State {
  using Result = std::variant<Batch, std::exception_ptr>;

  State(Source from, Config with, std::int64_t first, std::int64_t last)
      : source(std::move(from)),
        config(with),
        next_step(first),
        next_claim(first),
        last_step(last) {}

  Batch make(std::int64_t step) const {
    const std::vector<Item> items = source.sampler->step_items(step, source.batch_size);
    const std::int64_t share = source.batch_size / source.ranks;
    const auto first = items.begin() + source.rank * share;
    return make_batch(source, {first, first + share});
  }

  void work() {
    keep_torch_on_this_thread();
    // As a chunk of parallel_for, so that loops of our own stay on this thread too.
    parallel_for(1, 1, [this](std::int64_t, std::int64_t) { make_batches(); });
  }

  void make_batches() {
    for (;;) {
      std::int64_t step = 0;
      {
        std::unique_lock lock(mutex);
        room.wait(lock, [this] {
          return stopping || next_claim >= last_step || next_claim < next_step + config.queue;
        });
        if (stopping || next_claim >= last_step) return;
        step = next_claim++;
      }
      Result result;
      try {
        result = make(step);
      } catch (...) {
        result = std::current_exception();
      }
      {
        const std::scoped_lock lock(mutex);
        finished.emplace(step, std::move(result));
      }
      ready.notify_all();
    }
  }

  const Source source;
  const Config config;
  std::mutex mutex;
  std::condition_variable ready;  ///< a batch is finished
  std::condition_variable room;   ///< the queue has room, or all is over
  std::map<std::int64_t, Result> finished;
  std::int64_t next_step;   ///< step of the next call of next()
  std::int64_t next_claim;  ///< step that the next free worker makes
  const std::int64_t last_step;
  bool stopping = false;
  double waited = 0.0;
  std::vector<std::thread> workers;
};

Loader::Loader(Source source, Config config, std::int64_t first_step, std::int64_t last_step)
    : state_(std::make_unique<State>(std::move(source), config, first_step, last_step)) {
  for (std::int64_t i = 0; i < config.threads; ++i)
    state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

Loader::~Loader() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->room.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

Batch Loader::next() {
  State& state = *state_;
  TRIPTYCH_ASSERT(state.next_step < state.last_step);
  const auto start = Clock::now();
  if (state.workers.empty()) {
    // Nothing overlaps with the training step, so all of the making is waiting.
    Batch batch = state.make(state.next_step++);
    state.waited += seconds_since(start);
    return batch;
  }
  std::unique_lock lock(state.mutex);
  state.ready.wait(lock, [&] { return state.finished.contains(state.next_step); });
  auto result = state.finished.extract(state.next_step++);
  state.waited += seconds_since(start);
  lock.unlock();
  state.room.notify_all();
  if (auto* failure = std::get_if<std::exception_ptr>(&result.mapped()))
    std::rethrow_exception(*failure);
  return std::get<Batch>(std::move(result.mapped()));
}

double Loader::seconds_waiting() const { return state_->waited; }

}  // namespace triptych
