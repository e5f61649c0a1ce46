// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/volume_predictor.h"

#include "framework/core/nn.h"
#include "framework/model/backbone.h"

#include "tests/infer/analytic_volume.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::smooth_volume;
using testing::stored;

const std::filesystem::path kScratch = std::filesystem::temp_directory_path();

/// Logits whose softmax is (1 - x, x) of the central slice; refuses sizes that are no multiples
/// of 8.
VolumeNetwork intensity_network(std::int64_t slab) {
  VolumeNetwork network;
  network.channels = 2;
  network.activate = [](const Prediction& prediction) { return prediction.value.softmax(1); };
  network.slab = slab;
  network.size_multiple = {slab == 0 ? 8 : 1, 8, 8};
  network.predict = [slab](const Batch& batch) {
    const at::Tensor& image = batch.at("image").data;
    EXPECT_EQ(image.size(3) % 8 + image.size(4) % 8, 0);
    EXPECT_EQ(slab == 0 ? image.size(2) % 8 : image.size(2), slab);
    const at::Tensor x = (slab == 0 ? image : image.narrow(2, slab / 2, 1)).clamp(1e-4, 1.0 - 1e-4);
    return Prediction::logits(at::cat({(1.0 - x).log(), x.log()}, 1));
  };
  return network;
}

Geometry cubic(const at::Tensor& volume) {
  Geometry geometry;
  geometry.shape = {volume.size(1), volume.size(2), volume.size(3)};
  return geometry;
}

TEST(VolumePredictor, PlanesSlabsAndBlocksGiveTheVolumeBack) {
  const at::Tensor volume = smooth_volume({13, 9, 21});
  for (const std::int64_t slab : {1, 3, 0}) {
    for (const std::int64_t planes : {1, 3, 9}) {
      MemoryBudget budget(1 << 30);
      const auto input = stored(volume, budget);
      InferConfig config;
      config.planes = planes;
      config.block = {8, 8, 16};
      config.outputs = {"labels", "probabilities", "entropy", "disagreement"};
      const FusedVolume fused = VolumePredictor(intensity_network(slab), config)
                                    .predict(*input, cubic(volume), budget, kScratch)
                                    .classes;
      EXPECT_TRUE(testing::near(fused.probabilities->tensor().narrow(0, 1, 1).to(at::kFloat),
                                volume,
                                planes == 9 ? 0.02 : 1e-3));
      const at::Tensor disagreement = plane_disagreement(fused.votes->tensor());
      EXPECT_LE(disagreement.max().item<float>(), 0.5F);
    }
  }
}

TEST(VolumePredictor, ASinglePlaneSetFollowsTheConfiguredAxis) {
  const at::Tensor volume = smooth_volume({16, 24, 32});
  MemoryBudget budget(1 << 30);
  const auto input = stored(volume, budget);
  for (const std::int64_t axis : {0, 1, 2}) {
    std::vector<std::int64_t> rows;
    VolumeNetwork network = intensity_network(1);
    network.predict = [&rows, inner = network.predict](const Batch& batch) {
      rows.push_back(batch.at("image").data.size(3));
      return inner(batch);
    };
    InferConfig config;
    config.planes = 1;
    config.axis = axis;
    VolumePredictor(network, config).predict(*input, cubic(volume), budget, kScratch);
    EXPECT_EQ(static_cast<std::int64_t>(rows.size()),
              1 + volume.size(1 + axis));  // the first call finds the kind
    EXPECT_EQ(rows.back(), axis == 0 ? 24 : 16);
  }
}

TEST(VolumePredictor, EveryWayComesFromOnePassAndHasAName) {
  const at::Tensor volume = smooth_volume({13, 9, 21});
  MemoryBudget budget(1 << 30);
  const auto input = stored(volume, budget);
  InferConfig config;
  config.planes = 9;
  const VolumePredictor predictor(intensity_network(1), config);
  const auto results = predictor.predict_every_way(*input, cubic(volume), budget, kScratch);
  std::string names;
  for (const NamedLabels& result : results) names += result.name + " ";
  EXPECT_EQ(names, "rc pc pr soft-3 majority-3 soft-9 majority-9 ");
  const FusedVolume fused = predictor.predict(*input, cubic(volume), budget, kScratch).classes;
  EXPECT_TRUE(at::equal(results[5].labels->tensor(), fused.labels->tensor()));
}

TEST(VolumePredictor, ASliceHasOnePlaneSetAndTinyVolumesArePadded) {
  for (const Index3& shape : {Index3{1, 12, 10}, Index3{2, 1, 3}, Index3{1, 1, 1}}) {
    const at::Tensor volume = smooth_volume(shape);
    for (const std::int64_t slab : {1, 0}) {
      MemoryBudget budget(1 << 20);
      const auto input = stored(volume, budget);
      const FusedVolume fused = VolumePredictor(intensity_network(slab), {})
                                    .predict(*input, cubic(volume), budget, kScratch)
                                    .classes;
      EXPECT_TRUE(at::equal(fused.labels->tensor(), (volume > 0.5).to(at::kByte)));
    }
  }
}

TEST(VolumePredictor, AnisotropicVolumesNeedOnePlaneSetOrResampling) {
  const at::Tensor volume = smooth_volume({6, 7, 8});
  Geometry geometry = cubic(volume);
  geometry.spacing = {0.2, 0.2, 0.9};
  MemoryBudget budget(1 << 20);
  const auto input = stored(volume, budget);
  InferConfig config;
  testing::error_message("geometry", [&] {
    VolumePredictor(intensity_network(1), config).predict(*input, geometry, budget, kScratch);
  });
  config.planes = 1;
  EXPECT_NE(VolumePredictor(intensity_network(1), config)
                .predict(*input, geometry, budget, kScratch)
                .classes.labels,
            nullptr);
}

TEST(VolumePredictor, Bfloat16LabelsAgreeWithFloat32) {
  config::Node node = config::Node::map();
  node.set("name", config::Node("unet"));
  node.set("width", config::Node(8));
  node.set("depth", config::Node(2));
  const auto net = BackboneRegistry::instance().create(node, BackboneInput{1});
  net->eval();
  const auto folded = net->folded();
  const at::Tensor head = at::randn({3, 8, 1, 1, 1});
  VolumeNetwork network;
  network.channels = 3;
  network.activate = [](const Prediction& prediction) { return prediction.value.softmax(1); };
  network.size_multiple = folded->size_multiple();
  network.predict = [&](const Batch& batch) {
    const at::Tensor features = folded->forward(batch.at("image").data).level(0);
    return Prediction::logits(at::conv3d(features, head.to(features.scalar_type())));
  };
  const at::Tensor volume = smooth_volume({6, 30, 40});
  at::Tensor labels[2];
  for (const char* precision : {"float32", "bfloat16"}) {
    MemoryBudget budget(1 << 30);
    const auto input = stored(volume, budget);
    InferConfig config;
    config.precision = precision;
    config.planes = 1;
    labels[precision[0] == 'b'] = VolumePredictor(network, config)
                                      .predict(*input, cubic(volume), budget, kScratch)
                                      .classes.labels->tensor()
                                      .clone();
  }
  EXPECT_GT((labels[0] == labels[1]).to(at::kFloat).mean().item<float>(), 0.95F);
}

/// An image network that gives twice the central slice, beyond [0, 1], and its negative.
VolumeNetwork doubling_network(std::int64_t slab) {
  VolumeNetwork network = intensity_network(slab);
  network.activate = [](const Prediction& prediction) { return prediction.value; };
  network.predict = [slab](const Batch& batch) {
    const at::Tensor& image = batch.at("image").data;
    const at::Tensor x = slab == 0 ? image : image.narrow(2, slab / 2, 1);
    return Prediction::intensity(at::cat({2.0 * x, -2.0 * x}, 1));
  };
  return network;
}

TEST(VolumePredictor, ImagesAreMeansOverPlanesAndBlocks) {
  const at::Tensor volume = smooth_volume({13, 9, 21});
  const at::Tensor expected = at::cat({2.0 * volume, -2.0 * volume});
  for (const std::int64_t slab : {1, 3, 0}) {
    for (const std::int64_t planes : {1, 3, 9}) {
      for (const std::int64_t bytes : {std::int64_t{1} << 30, std::int64_t{0}}) {
        MemoryBudget budget(bytes);
        const auto input = stored(volume, budget);
        InferConfig config;
        config.planes = planes;
        config.block = {8, 8, 16};
        const PredictedVolume predicted = VolumePredictor(doubling_network(slab), config)
                                              .predict(*input, cubic(volume), budget, kScratch);
        EXPECT_EQ(predicted.kind, Prediction::Kind::kIntensity);
        EXPECT_EQ(predicted.classes.labels, nullptr);
        EXPECT_TRUE(testing::near(
            predicted.values->tensor(), expected, planes == 9 && slab != 0 ? 0.04 : 1e-5));
      }
    }
  }
}

TEST(VolumePredictor, WholeEntriesOfSeveralRolesArePredictedInOneCall) {
  VolumeNetwork network = doubling_network(0);
  network.role = "";
  network.channels = 3;
  int calls = 0;
  network.predict = [&calls](const Batch& batch) {
    ++calls;
    EXPECT_EQ(batch.at("moving").data.sizes(), at::IntArrayRef({1, 1, 8, 8, 16}));
    return Prediction::displacement(batch.at("fixed").data.expand({1, 3, -1, -1, -1}));
  };
  const at::Tensor fixed = smooth_volume({5, 9, 6});
  Batch batch;
  batch.ids = {"pair"};
  batch.entries["fixed"].data = fixed.unsqueeze(0);
  batch.entries["fixed"].geometry = {cubic(fixed)};
  batch.entries["moving"].data = smooth_volume({8, 7, 12}).unsqueeze(0);
  batch.entries["moving"].geometry.resize(1);
  MemoryBudget budget(1 << 20);
  const VolumePredictor predictor(network, {});
  const PredictedVolume predicted = predictor.predict_whole(batch, "fixed", budget, kScratch);
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(at::equal(predicted.values->tensor(), fixed.expand({3, -1, -1, -1})));
  const auto input = stored(fixed, budget);
  testing::error_message("model",
                         [&] { predictor.predict(*input, cubic(fixed), budget, kScratch); });
}

TEST(InferConfig, RefusesOtherPlaneCountsAndUnreadableMemory) {
  config::Node node = config::Node::map();
  node.set("planes", config::Node(4));
  node.set("memory", config::Node("lots"));
  const std::string message =
      testing::error_message("schema", [&] { config::read<InferConfig>(node, "infer"); });
  EXPECT_NE(message.find("infer.planes"), std::string::npos) << message;
  EXPECT_NE(message.find("infer.memory"), std::string::npos) << message;
}

}  // namespace
}  // namespace triptych
