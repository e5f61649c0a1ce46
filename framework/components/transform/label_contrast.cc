// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Images of a modality that does not exist: every class of a label map gets a random mean and a
/// random standard deviation of independent noise (the generative model of SynthMorph, Hoffmann et
/// al., IEEE Trans. Med. Imaging 41:543, 2022). Each entry has a contrast of its own, so that a
/// network trained on them learns what does not depend on the modality.
///
/// Blurring, bias fields and gamma are transforms of their own. Voxels that are not labelled take
/// the background's values.
class LabelContrast final : public Transform {
 public:
  struct Config {
    std::string label = "label";
    std::vector<std::string> entries;
    std::vector<double> mean = {0.0, 1.0};
    std::vector<double> noise = {0.0, 0.1};
    double probability = 1.0;

    void visit(auto& field) {
      field("label", label, "entry with the label map, on the grid of the entries");
      field(
          "entries", entries, "entries that become images of the labels", config::Need::kRequired);
      field("mean", mean, "[low, high] mean grey value of a class", config::Length{2});
      field("noise",
            noise,
            "[low, high] standard deviation within a class",
            config::AtLeast{0.0},
            config::Length{2});
      field("probability", probability, "of repainting an entry", config::Between{0.0, 1.0});
    }
    void validate(config::Problems& problems) const {
      if (entries.empty()) problems.add("entries", "expects at least one entry, got none");
      if (mean.size() == 2 && mean[0] > mean[1]) problems.add("mean", "must be [low, high]");
      if (noise.size() == 2 && noise[0] > noise[1]) problems.add("noise", "must be [low, high]");
    }
  };

  explicit LabelContrast(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample& sample, RandomStream& random) const override {
    const Entry& label = labels_of(sample);
    const std::int64_t classes =
        std::max<std::int64_t>(label.data.max().item<std::int64_t>(), 0) + 1;
    TransformParameters parameters;
    for (const std::string& name : config_.entries) {
      if (!random.bernoulli(config_.probability)) continue;
      for (std::int64_t i = 0; i < classes; ++i) {
        parameters[name + ".mean"].push_back(random.uniform(config_.mean[0], config_.mean[1]));
        parameters[name + ".noise"].push_back(random.uniform(config_.noise[0], config_.noise[1]));
      }
      // Short enough to be a double without rounding.
      parameters[name + ".seed"] = {static_cast<double>(random.bits() >> 12)};
    }
    return parameters;
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    const at::Tensor labels = labels_of(sample).data.to(at::kLong).clamp_min(0).contiguous();
    const std::int64_t* label = labels.data_ptr<std::int64_t>();
    for_each_intensity(
        sample, config_.entries, "label_contrast", [&](const std::string& name, Entry& entry) {
          if (!parameters.contains(name + ".seed")) return;
          check_grid(sample, name, entry, labels);
          const std::vector<double>& mean = parameters.at(name + ".mean");
          const std::vector<double>& noise = parameters.at(name + ".noise");
          RandomStream random(static_cast<std::uint64_t>(parameters.at(name + ".seed")[0]));
          entry.data = mapped_values(entry.data, [&](float* value, std::int64_t count) {
            for (std::int64_t i = 0; i < count; ++i) {
              const auto index = static_cast<std::size_t>(label[i]);
              value[i] = static_cast<float>(mean[index] + noise[index] * random.normal());
            }
          });
        });
  }

 private:
  const Entry& labels_of(const Sample& sample) const {
    const Entry& label = sample.at(config_.label);
    if (label.kind == EntryKind::kLabel) return label;
    throw data_error(
        fmt::format("sample {}: transform 'label_contrast': expected a label map in "
                    "entry '{}', got a {}",
                    sample.id,
                    config_.label,
                    kind_text(label.kind)));
  }

  static void check_grid(const Sample& sample,
                         const std::string& name,
                         const Entry& entry,
                         const at::Tensor& labels) {
    if (entry.data.sizes() == labels.sizes()) return;
    throw data_error(
        fmt::format("sample {}: transform 'label_contrast': expected entry '{}' to have one "
                    "channel on the grid of the labels",
                    sample.id,
                    name));
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("label_contrast", LabelContrast)
}  // namespace triptych
