// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/entry_cache.h"

namespace triptych {

std::size_t EntryCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return bytes_;
}

EntryCache::Value EntryCache::get_any(const std::string& key, const std::function<Made()>& make) {
  std::promise<Value> promise;
  {
    std::unique_lock lock(mutex_);
    const auto found = slots_.find(key);
    if (found != slots_.end()) {
      ages_.splice(ages_.begin(), ages_, found->second.age);
      const std::shared_future<Value> value = found->second.value;
      lock.unlock();
      return value.get();
    }
    ages_.push_front(key);
    slots_[key] = {promise.get_future().share(), 0, false, ages_.begin()};
  }
  try {
    Made made = make();
    promise.set_value(made.value);
    const std::scoped_lock lock(mutex_);
    Slot& slot = slots_.at(key);
    slot.ready = true;
    slot.bytes = made.bytes;
    bytes_ += made.bytes;
    drop_oldest();
    return made.value;
  } catch (...) {
    promise.set_exception(std::current_exception());
    const std::scoped_lock lock(mutex_);
    ages_.erase(slots_.at(key).age);
    slots_.erase(key);
    throw;
  }
}

// Items being made are not dropped; the most recent stays whatever its size.
void EntryCache::drop_oldest() {
  auto oldest = ages_.end();
  while (bytes_ > limit_bytes_ && oldest != ages_.begin()) {
    --oldest;
    const auto slot = slots_.find(*oldest);
    if (oldest == ages_.begin()) return;
    if (!slot->second.ready) continue;
    bytes_ -= slot->second.bytes;
    slots_.erase(slot);
    oldest = ages_.erase(oldest);
  }
}

}  // namespace triptych
