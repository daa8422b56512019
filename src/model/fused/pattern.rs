//! Finds the parts that are run as one in an ONNX graph, and puts one node in place of each.

use std::collections::HashMap;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};

use super::{ATTENTION, BAND_ENCODER, BAND_HEAD, DOMAIN, FEED_FORWARD};

/// Replaces the last node of each part by one that computes the whole part. What then is read no more stays in the graph, and is dropped
/// with the rest of what no output needs.
pub fn fuse(graph: &mut GraphProto) {
    let found: Vec<(usize, NodeProto)> = {
        let view = View::new(graph);
        let last = |node: &'_ NodeProto| match node.op_type.as_str() {
            "Add" => view.feed_forward(node).or_else(|| view.attention(node)),
            "Transpose" => view.band_split(node),
            _ => None,
        };
        graph.node.iter().enumerate().filter_map(|(place, node)| Some((place, last(node)?))).collect()
    };
    for (place, node) in found {
        if let Some(old) = graph.node.get_mut(place) {
            *old = node;
        }
    }
}

/// A graph, to be read backwards.
struct View<'a> {
    makers: HashMap<&'a str, &'a NodeProto>,
    integers: HashMap<&'a str, Vec<i64>>,
    scalars: HashMap<&'a str, f32>,
    /// Sizes of the weights, those that are cast when the model is read included.
    sizes: HashMap<&'a str, Vec<i64>>,
}

/// A normalisation: what it reads, its gain, groups and epsilon.
struct Norm<'a> {
    x: &'a str,
    gain: &'a str,
    groups: i64,
    epsilon: f32,
}

/// One band at an end of a band-split network.
struct Band<'a> {
    x: &'a str,
    /// What tells the bands apart, and which this is.
    split: &'a NodeProto,
    place: usize,
    /// Of the output, and how much of its last axis is this band's.
    channels: i64,
    width: i64,
    epsilon: f32,
    weights: Vec<&'a str>,
}

impl<'a> View<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let makers: HashMap<&str, &NodeProto> =
            graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
        let (mut integers, mut scalars, mut sizes) = (HashMap::new(), HashMap::new(), HashMap::new());
        for weight in &graph.initializer {
            let name = weight.name.as_str();
            sizes.insert(name, weight.dims.clone());
            let words = |raw: &[u8]| raw.chunks_exact(8).filter_map(|word| Some(i64::from_le_bytes(word.try_into().ok()?))).collect();
            if weight.data_type == 7 {
                integers.insert(name, if weight.raw_data.is_empty() { weight.int64_data.clone() } else { words(&weight.raw_data) });
            }
            if weight.data_type == 1 && weight.dims.iter().product::<i64>() == 1 {
                let raw = weight.raw_data.get(..4).and_then(|word| Some(f32::from_le_bytes(word.try_into().ok()?)));
                if let Some(value) = raw.or(weight.float_data.first().copied()) {
                    scalars.insert(name, value);
                }
            }
        }
        let casts = graph.node.iter().filter(|node| node.op_type == "Cast");
        for node in casts {
            if let (Some(from), Some(to)) = (node.input.first(), node.output.first())
                && let Some(size) = sizes.get(from.as_str()).cloned()
            {
                sizes.insert(to.as_str(), size);
            }
        }
        Self { makers, integers, scalars, sizes }
    }

    /// The node that makes `tensor`, if it is an `operator`.
    fn made(&self, tensor: &str, operator: &str) -> Option<&'a NodeProto> {
        self.makers.get(tensor).copied().filter(|node| node.op_type == operator && node.domain.is_empty())
    }

    fn inputs<const N: usize>(node: &'a NodeProto) -> Option<[&'a str; N]> {
        <[&str; N]>::try_from(node.input.iter().map(String::as_str).collect::<Vec<_>>()).ok()
    }

    /// Both orders of a product's or sum's inputs.
    fn either(node: &'a NodeProto) -> Option<[[&'a str; 2]; 2]> {
        let [a, b] = Self::inputs(node)?;
        Some([[a, b], [b, a]])
    }

    fn reshaped(&self, tensor: &str) -> Option<(&'a str, &[i64])> {
        let [from, shape] = Self::inputs(self.made(tensor, "Reshape")?)?;
        Some((from, self.integers.get(shape)?))
    }

    fn transposed(&self, tensor: &str, order: &[i64]) -> Option<&'a str> {
        let node = self.made(tensor, "Transpose")?;
        (attribute(node, "perm")?.ints == order).then(|| Self::inputs::<1>(node))?.map(|[from]| from)
    }

    /// The split along `axis` that `tensor` is a piece of, and which piece.
    fn piece(&self, tensor: &str, axis: i64) -> Option<(&'a NodeProto, usize)> {
        let node = self.made(tensor, "Split")?;
        let place = node.output.iter().position(|output| output == tensor)?;
        (attribute(node, "axis")?.i == axis).then_some((node, place))
    }

    /// Whether a weight is a vector of this length along the last axis.
    fn is_vector(&self, weight: &str, length: i64) -> bool {
        self.sizes.get(weight).is_some_and(|size| size.last() == Some(&length) && size.iter().product::<i64>() == length)
    }

    /// The same of an even split into so many parts.
    fn part(&self, tensor: &str, axis: i64, parts: usize) -> Option<(&'a str, usize)> {
        let (node, place) = self.piece(tensor, axis)?;
        let [from, lengths] = Self::inputs(node)?;
        let lengths = self.integers.get(lengths)?;
        let is_even = lengths.len() == parts && lengths.iter().all(|length| Some(length) == lengths.first());
        (is_even && node.output.len() == parts).then_some((from, place))
    }

    /// A convolution without stride, dilation or groups: its input, weight, bias and padding.
    fn convolved(&self, tensor: &str) -> Option<(&'a str, &'a str, Option<&'a str>, Vec<i64>)> {
        let node = self.made(tensor, "Conv")?;
        if node.attribute.iter().any(|attribute| attribute.name != "pads") {
            return None;
        }
        let pads = attribute(node, "pads").map_or_else(|| vec![0; 4], |pads| pads.ints.clone());
        match &node.input[..] {
            [x, weight] => Some((x, weight, None, pads)),
            [x, weight, bias] => Some((x, weight, Some(bias), pads)),
            _ => None,
        }
    }

    /// `x / sqrt(mean of a group of features (x^2) + epsilon) * gain`.
    fn normalised(&self, tensor: &str) -> Option<Norm<'a>> {
        let [flat, gain] = Self::inputs(self.made(tensor, "Mul")?)?;
        let (divided, _) = self.reshaped(flat)?;
        let [grouped, root] = Self::inputs(self.made(divided, "Div")?)?;
        let epsilon = self.root_mean_square(root, grouped, 1)?;
        let (x, shape) = self.reshaped(grouped)?;
        let &[groups, of_group, -1, _] = shape else { return None };
        let features: i64 = self.sizes.get(gain)?.iter().product();
        (groups * of_group == features).then_some(Norm { x, gain, groups, epsilon })
    }

    /// Epsilon, if `root` is the root of `x`'s mean square over `axis` and of it.
    fn root_mean_square(&self, root: &str, x: &str, axis: i64) -> Option<f32> {
        let [sum] = Self::inputs(self.made(root, "Sqrt")?)?;
        let [mean, epsilon] = Self::inputs(self.made(sum, "Add")?)?;
        let mean = self.made(mean, "ReduceMean")?;
        let [square] = Self::inputs(mean)?;
        let keeps_axis = attribute(mean, "axes")?.ints == [axis] && attribute(mean, "keepdims").is_none_or(|keep| keep.i == 1);
        let factors = Self::inputs(self.made(square, "Mul")?)?;
        (keeps_axis && factors == [x, x]).then(|| self.scalars.get(epsilon).copied())?
    }

    /// `x weights + bias`: x, weights and bias.
    fn linear(&self, tensor: &str) -> Option<[&'a str; 3]> {
        let [product, bias] = Self::inputs(self.made(tensor, "Add")?)?;
        let [x, weights] = Self::inputs(self.made(product, "MatMul")?)?;
        Some([x, weights, bias])
    }

    /// What is multiplied by its own sigmoid.
    fn silu(&self, tensor: &str) -> Option<&'a str> {
        Self::either(self.made(tensor, "Mul")?)?.into_iter().find_map(|[gate, sigmoid]| {
            let [of] = Self::inputs(self.made(sigmoid, "Sigmoid")?)?;
            (of == gate).then_some(gate)
        })
    }

    /// The features of one band, `[1, frames, features, 1]`.
    fn encoded_band(&self, tensor: &str) -> Option<Band<'a>> {
        let (linear, &[1, -1, features, 1]) = self.reshaped(tensor)? else { return None };
        let [gained, weights, bias] = self.linear(linear)?;
        let (values, gain, epsilon) = self.gained(gained)?;
        let (by_frame, &[1, -1, count]) = self.reshaped(values)? else { return None };
        let (split, place) = self.piece(self.transposed(by_frame, &[0, 2, 1, 3])?, 3)?;
        let fits = self.sizes.get(weights)? == &[count, features]
            && features > 0
            && features % 8 == 0
            && self.is_vector(gain, count)
            && self.is_vector(bias, features);
        let (x, weights) = (split.input.first()?, vec![gain, weights, bias]);
        fits.then_some(Band { x, split, place, channels: features, width: 1, epsilon, weights })
    }

    /// The masks of one band, `[1, frames, planes, width]`.
    fn masked_band(&self, tensor: &str) -> Option<Band<'a>> {
        let (masks, &[1, -1, planes, width]) = self.reshaped(tensor)? else { return None };
        let [gated, output, output_bias] = self.linear(masks)?;
        let [gained, hidden, hidden_bias] = self.linear(self.silu(gated)?)?;
        let (values, gain, epsilon) = self.gained(gained)?;
        let (part, &[1, -1, features]) = self.reshaped(values)? else { return None };
        let (split, place) = self.piece(part, 2)?;
        let x = self.transposed(split.input.first()?, &[0, 2, 3, 1])?;
        let &[of, units] = &self.sizes.get(hidden)?[..] else { return None };
        let fits = of == features
            && units % 4 == 0
            && width >= 8
            && planes > 1
            && self.sizes.get(output)? == &[units, planes * width]
            && self.is_vector(gain, features)
            && self.is_vector(hidden_bias, units)
            && self.is_vector(output_bias, planes * width);
        let weights = vec![gain, hidden, hidden_bias, output, output_bias];
        fits.then_some(Band { x, split, place, channels: planes, width, epsilon, weights })
    }

    /// `values / root mean square over the last axis * gain`: values, gain and epsilon.
    fn gained(&self, tensor: &str) -> Option<(&'a str, &'a str, f32)> {
        let [divided, gain] = Self::inputs(self.made(tensor, "Mul")?)?;
        let [values, root] = Self::inputs(self.made(divided, "Div")?)?;
        Some((values, gain, self.root_mean_square(root, values, 2)?))
    }

    /// One end of a band-split network: all bands one after the other along the last axis, frames and channels exchanged.
    fn band_split(&self, last: &'a NodeProto) -> Option<NodeProto> {
        let [joined] = Self::inputs(last)?;
        let joined = self.made(joined, "Concat").filter(|node| attribute(node, "axis").is_some_and(|axis| axis.i == 3))?;
        if attribute(last, "perm")?.ints != [0, 2, 1, 3] {
            return None;
        }
        let all = |band: &dyn Fn(&str) -> Option<Band<'a>>| joined.input.iter().map(|tensor| band(tensor)).collect::<Option<Vec<_>>>();
        let (operator, bands) = match all(&|tensor| self.encoded_band(tensor)) {
            Some(bands) => (BAND_ENCODER, bands),
            None => (BAND_HEAD, all(&|tensor| self.masked_band(tensor))?),
        };
        let first = bands.first()?;
        let (x, channels, epsilon) = (first.x, first.channels, first.epsilon);
        let is_whole = bands.iter().enumerate().all(|(place, band)| {
            std::ptr::eq(band.split, first.split)
                && (band.x, band.place) == (x, place)
                && (band.channels, band.epsilon.to_bits()) == (channels, epsilon.to_bits())
        });
        let columns = bands.iter().map(|band| band.width).sum();
        let input = std::iter::once(x).chain(bands.iter().flat_map(|band| band.weights.iter().copied())).map(str::to_owned).collect();
        let attribute = vec![integer("channels", channels), integer("columns", columns), float("epsilon", epsilon)];
        (is_whole && first.split.output.len() == bands.len()).then(|| replacement(operator, last, input, attribute))
    }

    /// The other input of a sum with `x`.
    fn change<'s>(&'s self, sum: &'a NodeProto) -> Option<impl Iterator<Item = (&'a str, &'a str)> + use<'s, 'a>> {
        Some(Self::either(sum)?.into_iter().map(|[x, change]| (x, change)))
    }

    fn feed_forward(&self, sum: &'a NodeProto) -> Option<NodeProto> {
        self.change(sum)?.find_map(|(x, change)| {
            let (gated, narrow, narrow_bias, after) = self.convolved(change)?;
            let gated = self.made(gated, "Mul")?;
            let (value, gate) = Self::either(gated)?.into_iter().find_map(|[value, silu]| Some((value, self.silu(silu)?)))?;
            let ((widened, 0), (same, 1)) = (self.part(value, 1, 2)?, self.part(gate, 1, 2)?) else { return None };
            let (normed, widen, widen_bias, before) = self.convolved(widened).filter(|_| widened == same)?;
            let norm = self.normalised(normed).filter(|norm| norm.x == x)?;
            let &[_, _, over_time, over_bands] = &self.sizes.get(widen)?[..] else { return None };
            let (is_over_time, reach) = if over_bands == 1 { (true, over_time - 1) } else { (false, over_bands - 1) };
            let wanted = if is_over_time { ([reach, 0, 0, 0], [0, 0, reach, 0]) } else { ([0, reach, 0, 0], [0, 0, 0, reach]) };
            let same_kernel = self.sizes.get(narrow)?.get(2..) == Some(&[over_time, over_bands]);
            if (over_time != 1 && over_bands != 1) || before != wanted.0 || after != wanted.1 || !same_kernel {
                return None;
            }
            let inputs = [x, norm.gain, widen, widen_bias?, narrow, narrow_bias?];
            Some(part(FEED_FORWARD, sum, &inputs, is_over_time, &norm, None))
        })
    }

    fn attention(&self, sum: &'a NodeProto) -> Option<NodeProto> {
        self.change(sum)?.find_map(|(x, change)| {
            let (flat, merge, None, pads) = self.convolved(change)? else { return None };
            let (joined, _) = self.reshaped(flat)?;
            let over_time = self.made(joined, "Transpose").and_then(|_| self.transposed(joined, &[1, 3, 2, 0]));
            let (projected, heads, tables) = match over_time {
                Some(joined) => self.attended_over_time(joined).map(|(projected, heads)| (projected, heads, None)),
                None => self.attended_over_bands(self.transposed(joined, &[1, 3, 0, 2])?),
            }?;
            let (normed, project, None, other_pads) = self.convolved(projected)? else { return None };
            let norm = self.normalised(normed).filter(|norm| norm.x == x)?;
            let is_pointwise =
                [merge, project].iter().all(|weight| self.sizes.get(weight).is_some_and(|size| size.get(2..) == Some(&[1, 1])));
            if !is_pointwise || pads != [0; 4] || other_pads != [0; 4] {
                return None;
            }
            let mut inputs = vec![x, norm.gain, project, merge];
            inputs.extend(tables.into_iter().flatten());
            Some(part(ATTENTION, sum, &inputs, tables.is_none(), &norm, Some(heads)))
        })
    }

    /// `softmax(q k) v`: q, k and v.
    fn attended(&self, tensor: &str) -> Option<[&'a str; 3]> {
        let [scores, value] = Self::inputs(self.made(tensor, "MatMul")?)?;
        let softmax = self.made(scores, "Softmax")?;
        let [products] = Self::inputs(softmax)?;
        let [query, key] = Self::inputs(self.made(products, "MatMul")?)?;
        matches!(attribute(softmax, "axis")?.i, -1 | 3).then_some([query, key, value])
    }

    /// One of query, key and value, `[heads, width, frames, bands]`: the projection it is the `place`th third of, and the heads.
    fn third(&self, tensor: &str, place: usize) -> Option<(&'a str, i64)> {
        let (part, &[heads, _, -1, _]) = self.reshaped(tensor)? else { return None };
        let (projected, found) = self.part(part, 1, 3)?;
        (found == place).then_some((projected, heads))
    }

    fn same_thirds(&self, thirds: [&str; 3]) -> Option<(&'a str, i64)> {
        let first = self.third(thirds[0], 0)?;
        (self.third(thirds[1], 1)? == first && self.third(thirds[2], 2)? == first).then_some(first)
    }

    fn attended_over_time(&self, joined: &str) -> Option<(&'a str, i64)> {
        let groups = self.made(joined, "Concat").filter(|node| attribute(node, "axis").is_some_and(|axis| axis.i == 0))?;
        let mut found = None;
        for (place, group) in groups.input.iter().enumerate() {
            let parts = self.attended(group)?.map(|tensor| self.part(tensor, 0, groups.input.len()));
            let [Some((query, a)), Some((key, b)), Some((value, c))] = parts else { return None };
            let wholes =
                [self.transposed(query, &[3, 0, 2, 1])?, self.transposed(key, &[3, 0, 1, 2])?, self.transposed(value, &[3, 0, 2, 1])?];
            if [a, b, c] != [place; 3] || found.replace(wholes).is_some_and(|before| before != wholes) {
                return None;
            }
        }
        self.same_thirds(found?)
    }

    #[allow(clippy::type_complexity)] // projection, heads, and the rotary tables
    fn attended_over_bands(&self, joined: &str) -> Option<(&'a str, i64, Option<[&'a str; 3]>)> {
        let [query, key, value] = self.attended(joined)?;
        let (query, tables) = self.rotated(query)?;
        let (key, same) = self.rotated(self.transposed(key, &[0, 1, 3, 2])?)?;
        let order = [2, 0, 3, 1];
        let thirds = [self.transposed(query, &order)?, self.transposed(key, &order)?, self.transposed(value, &order)?];
        let (projected, heads) = self.same_thirds(thirds)?;
        (tables == same).then_some((projected, heads, Some(tables)))
    }

    /// `x * cosines + (x turn) * sines`: x, and turn, cosines, sines.
    fn rotated(&self, tensor: &str) -> Option<(&'a str, [&'a str; 3])> {
        let [straight, turned] = Self::inputs(self.made(tensor, "Add")?)?;
        let [x, cosines] = Self::inputs(self.made(straight, "Mul")?)?;
        let [product, sines] = Self::inputs(self.made(turned, "Mul")?)?;
        let [same, turn] = Self::inputs(self.made(product, "MatMul")?)?;
        (x == same).then_some((x, [turn, cosines, sines]))
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..AttributeProto::default() }
}

fn part(operator: &str, last: &NodeProto, inputs: &[&str], over_time: bool, norm: &Norm<'_>, heads: Option<i64>) -> NodeProto {
    let mut attribute = vec![integer("over_time", over_time.into()), integer("groups", norm.groups), float("epsilon", norm.epsilon)];
    attribute.extend(heads.map(|heads| integer("heads", heads)));
    replacement(operator, last, inputs.iter().map(|input| (*input).to_owned()).collect(), attribute)
}

/// A node of ours in the place of `last`.
fn replacement(operator: &str, last: &NodeProto, input: Vec<String>, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input,
        output: last.output.clone(),
        name: last.name.clone(),
        op_type: operator.into(),
        domain: DOMAIN.into(),
        attribute,
        ..NodeProto::default()
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::{GraphProto, NodeProto};
    use tract_onnx::prelude::Framework;

    use super::super::DOMAIN;
    use super::{fuse, integer};
    use crate::model::runtime::tests::shipped;

    /// The graph of the smallest separator that is shipped.
    fn smallest() -> GraphProto {
        let (_, bytes) = shipped().into_iter().min_by_key(|(_, bytes)| bytes.len()).unwrap();
        tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]).unwrap().graph.unwrap()
    }

    fn parts(mut graph: GraphProto) -> usize {
        fuse(&mut graph);
        graph.node.iter().filter(|node| node.domain == DOMAIN).count()
    }

    fn set(node: &mut NodeProto, name: &str, ints: &[i64], i: i64) {
        node.attribute.retain(|attribute| attribute.name != name);
        let mut attribute = integer(name, i);
        attribute.ints = ints.to_vec();
        node.attribute.push(attribute);
    }

    #[test]
    fn what_only_looks_like_a_part_stays_as_it_is() {
        let graph = smallest();
        let all = parts(graph.clone());
        assert!(all > 18, "{all}");
        type Change = fn(&mut NodeProto);
        let changes: [(&str, Change); 17] = [
            ("Softmax", |node| set(node, "axis", &[], 1)),
            ("ReduceMean", |node| set(node, "axes", &[3], 0)),
            ("ReduceMean", |node| set(node, "keepdims", &[], 0)),
            ("Sqrt", |node| node.op_type = "Exp".into()),
            ("Div", |node| node.input.swap(0, 1)),
            ("Sigmoid", |node| node.op_type = "Tanh".into()),
            ("Sigmoid", |node| node.input[0].clone_from(&node.output[0])),
            ("Transpose", |node| set(node, "perm", &[3, 2, 1, 0], 0)),
            ("Split", |node| set(node, "axis", &[], 0)),
            ("Split", |node| node.output.swap(0, 1)),
            ("Concat", |node| set(node, "axis", &[], 2)),
            ("Concat", |node| node.input.swap(0, 1)),
            ("Conv", |node| set(node, "pads", &[1, 1, 1, 1], 0)),
            ("Conv", |node| set(node, "dilations", &[2, 2], 0)),
            ("Reshape", |node| node.input[1] = "nothing".into()),
            ("MatMul", |node| node.input.swap(0, 1)),
            ("MatMul", |node| node.domain = "another".into()),
        ];
        for (operator, change) in changes {
            let places: Vec<usize> = (0..graph.node.len()).filter(|place| graph.node[*place].op_type == operator).collect();
            for place in [places[0], places[places.len() / 2], places[places.len() - 1]] {
                let mut other = graph.clone();
                change(&mut other.node[place]);
                let found = parts(other);
                assert!(found < all, "{operator} {} with {:?}: {found} parts", graph.node[place].name, graph.node[place].attribute);
            }
        }
    }

    #[test]
    fn bands_of_two_splits_are_not_one_end() {
        let graph = smallest();
        let ends = |graph: &GraphProto| {
            let mut graph = graph.clone();
            fuse(&mut graph);
            graph.node.iter().filter(|node| node.op_type.starts_with("OtolithBand")).count()
        };
        assert_eq!(ends(&graph), 2);
        // Every split once more, and what read its last piece reads the copy's.
        let mut other = graph.clone();
        for split in graph.node.iter().filter(|node| node.op_type == "Split" && node.output.len() > 3) {
            let mut copy = split.clone();
            copy.output.iter_mut().for_each(|output| output.push_str("_again"));
            let (old, new) = (split.output.last().unwrap(), copy.output.last().unwrap().clone());
            let readers = other.node.iter_mut().flat_map(|node| &mut node.input).filter(|input| *input == old);
            readers.for_each(|input| input.clone_from(&new));
            other.node.push(copy);
        }
        assert_eq!(ends(&other), 0);
    }
}
