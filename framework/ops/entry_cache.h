// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace triptych {

/// A thread-safe cache of things that are costly to make, under a memory limit; the least recently
/// used go first.
///
/// Who asks for a key that another thread is making waits for it, so nothing is made twice at once.
/// What was handed out stays alive with its shared_ptr. A limit below one item's size keeps the
/// last item only.
class EntryCache {
 public:
  using Value = std::shared_ptr<const void>;
  /// The item and its size in bytes.
  struct Made {
    Value value;
    std::size_t bytes = 0;
  };

  explicit EntryCache(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// The item of a key, made by `make` if it is not there. An exception of `make` reaches every
  /// thread that waits, and the next call tries again.
  template <class T>
  std::shared_ptr<const T> get(const std::string& key, const std::function<Made()>& make) {
    return std::static_pointer_cast<const T>(get_any(key, make));
  }

  std::size_t bytes() const;

 private:
  struct Slot {
    std::shared_future<Value> value;
    std::size_t bytes = 0;
    bool ready = false;
    std::list<std::string>::iterator age;
  };
  Value get_any(const std::string& key, const std::function<Made()>& make);
  void drop_oldest();

  mutable std::mutex mutex_;
  std::map<std::string, Slot> slots_;
  std::list<std::string> ages_;  // most recent first
  std::size_t limit_bytes_;
  std::size_t bytes_ = 0;
};

}  // namespace triptych
