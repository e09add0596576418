// plain_copy.hpp: tensors from and to arrays of the caller.
#pragma once
#include "layer.hpp"
#include "table.hpp"

namespace snn {

template <class P> struct PlainCopy : Walk<P> {
    using Walk<P>::each_tensor;
    template <int I> using Layer = std::tuple_element_t<I, typename P::Layers>;

    // Copies tensor `index` of `all` from (`set`) or to `plain` [rows][size]. in_parts: dense
    // gradients are in the order of Parts.
    template <class AllTensors>
    static void run(AllTensors& all, int index, bool in_parts, bool set, Real* plain) {
        each_tensor([&](auto layer, auto number, int at, auto) {
            if (at != index) return;
            using L = Layer<layer()>;
            Tensors<L>& tensors = std::get<layer()>(all);
            Real* packed = tensors.arrays[number()].data();
            const auto move = [&](Real& here, Real& there) {
                (set ? here : there) = set ? there : here;
            };
            const auto matrix = [&](int rows, auto place) {
                for (int i = 0; i < rows; i++)
                    for (int j = 0; j < L::Model::SIZE; j++)
                        move(packed[place(i, j)], plain[size_t(i) * L::Model::SIZE + j]);
            };
            if constexpr (number() == Tensors<L>::PARAMETERS) {
                matrix(L::Model::PER_NEURON, [](int i, int j) { return size_t(i) * L::WIDTH + j; });
                return;
            } else {
                constexpr int K = number() % L::COUNT;
                using Own = typename L::template Into<K>;
                constexpr bool DELAYS = number() >= L::COUNT;
                if (DELAYS && Own::DELAY == Delay::AXONAL) {
                    for (int i = 0; i < Own::ROWS; i++) move(packed[i], plain[i]);
                } else if (DELAYS && Own::DELAY == Delay::DENDRITIC) {
                    for (int j = 0; j < L::Model::SIZE; j++) move(packed[j], plain[j]);
                } else if constexpr (Own::LISTED) {
                    const SynapseList& list = tensors.template list<K>();
                    const size_t pairs = size_t(Own::ROWS) * L::Model::SIZE;
                    if (!set && !list.shared) std::fill_n(plain, pairs, Real(0));
                    for (size_t e = 0; e < list.weights; e++) move(packed[e], plain[list.place[e]]);
                } else {
                    matrix(Own::ROWS, [=](int i, int j) {
                        const size_t at = Tensors<L>::template at<K>(j / L::BW, i) + j % L::BW;
                        return in_parts ? Parts<L, Own::PRE>::at(at) : at;
                    });
                }
            }
        });
    }
};

}  // namespace snn
