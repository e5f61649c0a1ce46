// SPDX-License-Identifier: Apache-2.0
#include "framework/data/stack_key.h"

#include <fmt/core.h>

namespace triptych {

StackKey make_stack_key(std::vector<RoleBinding> roles,
                        std::shared_ptr<const TransformChain> transforms) {
  return [roles = std::move(roles), transforms = std::move(transforms)](const SampleSpec& sample,
                                                                        const Index3& item_size) {
    std::string key;
    const std::size_t reference = reference_role(sample, roles);
    for (std::size_t i = 0; i < roles.size(); ++i) {
      const RoleBinding& role = roles[i];
      const EntrySpec* entry = sample.find(role.entry);
      if (entry == nullptr || entry->kind == EntryKind::kPoints ||
          (i != reference && !role.required))
        continue;
      const bool whole = role.extent == RoleBinding::Extent::kWhole;
      Index3 size = whole ? entry->geometry.shape : item_size;
      if (transforms != nullptr) size = transforms->size_after(size, entry->frame);
      key += fmt::format("{} {} {}x{}x{}; ", role.role, entry->modality, size[0], size[1], size[2]);
    }
    return key;
  };
}

}  // namespace triptych
