// Reads f, frames, positions, temporal and, for each frame, 1 or 0 for prompted or not, its memory and its pointer as raw
// float32 from standard input. Writes the inputs of memory attention for every next frame to standard output. Used to
// compare bank.hpp with the Python bank.
#include <cstdio>

#include "bank.hpp"

static std::vector<float> read_floats(std::size_t count) {
    std::vector<float> values(count);
    if (std::fread(values.data(), sizeof(float), count, stdin) != count) values.clear();
    return values;
}

static void write_floats(const std::vector<float>& values) {
    std::fwrite(values.data(), sizeof(float), values.size(), stdout);
}

int main() {
    const auto sizes = read_floats(2);
    if (sizes.empty()) return 1;
    const auto area = static_cast<std::size_t>(sizes[0] * sizes[0]);
    const auto positions = read_floats(area * 64), temporal = read_floats(7 * 64);
    Bank bank;
    for (int frame = 0; frame < static_cast<int>(sizes[1]); ++frame) {
        const auto prompted = read_floats(1), memory = read_floats(64 * area), pointer = read_floats(256);
        if (pointer.empty()) return 1;
        bank.remember(frame, memory, pointer, prompted[0] != 0.0F);
        const auto made = bank.inputs(frame + 1, positions, temporal);
        write_floats(made.memory_0);
        write_floats(made.memory_1);
        write_floats(made.memory_pos_embed);
        write_floats({made.cond_frame_id_diff});
    }
}
