// SPDX-License-Identifier: Apache-2.0
#include "framework/image/distance_map.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <itkImage.h>
#include <itkImportImageFilter.h>
#include <itkSignedMaurerDistanceMapImageFilter.h>

namespace triptych {

at::Tensor distance_to(const at::Tensor& mask, const std::array<double, 3>& spacing_xyz) {
  check_shape(mask, {kAny, kAny, kAny}, "distance map: mask");
  at::Tensor bytes = mask.to(at::kByte).contiguous();
  if (!bytes.any().item<bool>()) throw data_error("distance map: the mask is empty");

  using Mask = itk::Image<unsigned char, 3>;
  using Distance = itk::Image<float, 3>;
  auto importer = itk::ImportImageFilter<unsigned char, 3>::New();
  itk::ImageRegion<3> region;
  for (unsigned axis = 0; axis < 3; ++axis) region.SetSize(axis, bytes.size(2 - axis));
  importer->SetRegion(region);
  importer->SetSpacing(spacing_xyz.data());
  importer->SetImportPointer(bytes.data_ptr<std::uint8_t>(), bytes.numel(), false);

  auto filter = itk::SignedMaurerDistanceMapImageFilter<Mask, Distance>::New();
  filter->SetInput(importer->GetOutput());
  filter->SetSquaredDistance(false);
  filter->SetUseImageSpacing(true);
  filter->SetInsideIsPositive(false);
  filter->Update();
  at::Tensor distance = at::empty(bytes.sizes(), at::kFloat);
  const float* from = filter->GetOutput()->GetBufferPointer();
  std::copy_n(from, distance.numel(), distance.data_ptr<float>());
  return distance.clamp_min_(0.0);  // negative inside the mask
}

}  // namespace triptych
