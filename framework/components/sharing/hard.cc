// SPDX-License-Identifier: Apache-2.0
#include "framework/model/sharing.h"

namespace triptych {
namespace {

/// Hard parameter sharing: one column for every task (Caruana, 1997).
class HardSharing final : public Sharing {
 public:
  struct Config {
    void visit(auto&) {}
  };

  HardSharing(const Config&, const std::vector<std::string>&, const BackboneFactory& make_backbone)
      : column_(register_module("column", make_backbone())) {}

  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    const FeaturePyramid pyramid = column_->forward(image);
    std::map<std::string, FeaturePyramid> pyramids;
    for (const std::string& task : tasks) pyramids.emplace(task, pyramid);
    return pyramids;
  }
  const Backbone& column() const override { return *column_; }
  std::int64_t column_passes(std::int64_t tasks) const override { return tasks; }
  void fold() override {
    if (auto folded = column_->folded()) column_ = replace_module("column", std::move(folded));
  }

 private:
  std::shared_ptr<Backbone> column_;
};

}  // namespace
TRIPTYCH_REGISTER_SHARING("hard", HardSharing)
}  // namespace triptych
