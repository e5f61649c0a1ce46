// SPDX-License-Identifier: Apache-2.0
#include "framework/model/head.h"
#include "framework/ops/iterative_reconstruction.h"
#include "framework/ops/metal_artifact.h"

#include "tests/contract/minimal_config.h"
#include "tests/support/reconstruction_batch.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

class ScanInputs final : public HeadInputs {
 public:
  explicit ScanInputs(Batch batch) : batch_(std::move(batch)) {}
  const FeaturePyramid& features(const std::string&) override { throw model_error("no features"); }
  FeaturePyramid encode(const at::Tensor&, const std::string&) override {
    throw model_error("no backbone");
  }
  const Batch& batch() const override { return batch_; }
  const Prediction& output_of(const std::string&) override { throw model_error("no other task"); }

 private:
  Batch batch_;
};

/// Of projections in 1/cm times cm, completed as `completion` says.
at::Tensor iterated(const Batch& batch, bool normalised, bool non_negative) {
  const BatchEntry& entry = batch.at("projections");
  const ScanGeometry& scan = *entry.scans.front();
  const SliceGrid grid = slice_grid_of(entry.geometry.front());
  const at::Tensor metal = batch.at("metal").data;
  IterativeOptions options;
  options.iterations = 2;
  options.non_negative = non_negative;
  options.trusted = metal_trace(metal, scan, entry.data.size(-1), grid).logical_not();
  const at::Tensor completed =
      complete_trace(entry.data, metal, {normalised, PriorTissues::of_water(0.2)}, scan, grid);
  return iterated_fbp(completed, scan, grid, options).image;
}

TEST(LearnedGradient, StartsAsTheClassicalIterationWhereAsked) {
  const Batch batch = testing::reconstruction_batch({{.views = 40, .metal = true}});
  ScanInputs inputs(batch);
  for (const bool nmar : {false, true}) {
    config::Node config = testing::minimal_config(HeadRegistry::instance(), "learned_gradient");
    config.set("iterations", config::Node(2));
    config.set("width", config::Node(4));
    config.set("step_length", config::Node(1.0));
    config.set("non_negative", config::Node(nmar));
    config.set_path("metal.completion", config::Node(nmar ? "nmar" : "li"));
    const auto head = HeadRegistry::instance().create(config, PyramidSpec{{{8, {1, 1, 1}}}});
    const at::Tensor image = head->forward(inputs).value;
    EXPECT_TRUE(testing::near(image, iterated(batch, nmar, nmar), 1e-4));
    image.square().mean().backward();
    for (const auto& parameter : head->named_parameters())
      EXPECT_TRUE(parameter.value().grad().defined()) << parameter.key();
  }
}

}  // namespace
}  // namespace triptych
