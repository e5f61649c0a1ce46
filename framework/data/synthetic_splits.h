// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace triptych {

/// Samples that are made from a number alone, dealt out to train, validation and test.
class SyntheticSplits {
 public:
  /// `dataset` starts the messages.
  SyntheticSplits(std::string dataset,
                  std::int64_t train,
                  std::int64_t validation,
                  std::int64_t test);

  /// "train_0000", ... of all samples in order.
  const std::vector<std::string>& ids() const { return ids_; }
  /// Samples of a split; throws data_error for a name that is none.
  std::vector<std::size_t> split(const std::string& name) const;
  /// What a sample's random stream is derived by. The splits' numbers start far apart, so that more
  /// training samples change no test sample.
  std::uint64_t stream_index(std::size_t sample) const { return stream_indices_[sample]; }

 private:
  void add(const std::string& split, std::int64_t count);

  std::string dataset_;
  std::vector<std::string> ids_;
  std::vector<std::uint64_t> stream_indices_;
  std::map<std::string, std::vector<std::size_t>> splits_;
};

}  // namespace triptych
