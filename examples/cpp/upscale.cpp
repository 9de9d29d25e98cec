// Enlarges a picture by a network that `jsr export` wrote, in ONNX Runtime's C API, without Python.
//
//     jsr export x2 x2.onnx
//     g++ -std=c++17 -O2 upscale.cpp -I onnxruntime/include -L onnxruntime/lib -l onnxruntime -o upscale
//     LD_LIBRARY_PATH=onnxruntime/lib ./upscale x2.onnx small.ppm large.ppm
//
// Headers and library are those of a release of ONNX Runtime for your platform. Pictures are binary PPM files of 8 bit,
// of 32 px a side and more. The file's form is the one that `jsr export` writes by itself: uint8 (1, height, width, 3).

#include <cstdint>
#include <fstream>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "onnxruntime_c_api.h"

namespace {

struct Picture {
  std::int64_t height, width;
  std::vector<std::uint8_t> values;  // height * width * 3, RGB
};

Picture Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  std::int64_t width = 0, height = 0, most = 0;
  if (!(file >> kind >> width >> height >> most) || kind != "P6" || most != 255 || width < 1 || height < 1)
    throw std::runtime_error(path + ": is no binary PPM file of 8 bit without comments");
  if (width > std::numeric_limits<std::int32_t>::max() / 3 / height)
    throw std::runtime_error(path + ": is too large");
  file.get();  // the one white space before the values
  Picture picture{height, width, std::vector<std::uint8_t>(height * width * 3)};
  if (!file.read(reinterpret_cast<char*>(picture.values.data()), picture.values.size()))
    throw std::runtime_error(path + ": ends too early");
  return picture;
}

void Write(const std::string& path, const Picture& picture) {
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << picture.width << " " << picture.height << "\n255\n";
  file.write(reinterpret_cast<const char*>(picture.values.data()), picture.values.size());
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

const OrtApi* Api() {
  static const OrtApi* const api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!api) throw std::runtime_error("the library of ONNX Runtime is older than its headers");
  return api;
}

void Check(OrtStatus* status) {
  if (!status) return;
  const std::string text = Api()->GetErrorMessage(status);
  Api()->ReleaseStatus(status);
  throw std::runtime_error(text);
}

Picture Upscale(const std::string& network, Picture& lr) {
  const OrtApi& api = *Api();
  OrtEnv* env = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  OrtValue *input = nullptr, *output = nullptr;
  Check(api.CreateEnv(ORT_LOGGING_LEVEL_ERROR, "upscale", &env));
  Check(api.DisableTelemetryEvents(env));
  Check(api.CreateSessionOptions(&options));
#ifdef _WIN32
  const std::wstring path(network.begin(), network.end());
#else
  const std::string& path = network;
#endif
  Check(api.CreateSession(env, path.c_str(), options, &session));
  Check(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  const std::int64_t shape[] = {1, lr.height, lr.width, 3};
  Check(api.CreateTensorWithDataAsOrtValue(memory, lr.values.data(), lr.values.size(), shape, 4,
                                           ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &input));
  const char* const names[] = {"lr", "sr"};
  Check(api.Run(session, nullptr, &names[0], &input, 1, &names[1], 1, &output));

  OrtTensorTypeAndShapeInfo* info = nullptr;
  std::int64_t sides[4];
  std::uint8_t* values = nullptr;
  Check(api.GetTensorTypeAndShape(output, &info));
  Check(api.GetDimensions(info, sides, 4));
  Check(api.GetTensorMutableData(output, reinterpret_cast<void**>(&values)));
  Picture sr{sides[1], sides[2], {values, values + sides[1] * sides[2] * 3}};

  api.ReleaseTensorTypeAndShapeInfo(info);
  api.ReleaseValue(output);
  api.ReleaseValue(input);
  api.ReleaseMemoryInfo(memory);
  api.ReleaseSession(session);
  api.ReleaseSessionOptions(options);
  api.ReleaseEnv(env);
  return sr;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: upscale NETWORK.onnx LR.ppm SR.ppm\n";
    return 2;
  }
  try {
    Picture lr = Read(words[2]);
    Write(words[3], Upscale(words[1], lr));
  } catch (const std::exception& error) {
    std::cerr << "upscale: " << error.what() << "\n";
    return 1;
  }
}
