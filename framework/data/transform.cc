// SPDX-License-Identifier: Apache-2.0
#include "framework/data/transform.h"

#include "framework/core/error.h"

namespace triptych {

TransformChain::TransformChain(const std::vector<config::Node>& configs) {
  for (const config::Node& config : configs) {
    auto transform = TransformRegistry::instance().create(config);
    steps_.push_back({config.string_or("name", ""), std::move(transform)});
  }
}

void TransformChain::operator()(Sample& sample, const RandomStream& random) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    // A stream per place in the chain: changing one transform leaves what the others draw as it
    // was.
    RandomStream stream = random.derive(step.name).derive(i);
    TransformParameters parameters = step.transform->draw(sample, stream);
    step.transform->apply(sample, parameters);
    sample.history.emplace_back(step.name, std::move(parameters));
  }
}

Index3 TransformChain::size_after(Index3 size, const std::string& frame) const {
  for (const Step& step : steps_) size = step.transform->size_after(size, frame);
  return size;
}

}  // namespace triptych
